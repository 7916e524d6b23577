"""The generator of furnished, scanned rooms with sentences and questions about them."""
