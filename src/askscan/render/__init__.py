"""Pictures of a mesh without a display, with the camera that took them."""
