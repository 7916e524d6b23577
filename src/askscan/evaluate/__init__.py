"""From models to prediction files, from files to scores, from scores to pages."""
