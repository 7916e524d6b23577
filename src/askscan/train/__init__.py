"""One training loop, recipes, checkpoints and the journal."""
