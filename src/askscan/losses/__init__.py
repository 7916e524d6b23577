"""Pure functions from predictions and targets to records of named terms."""
