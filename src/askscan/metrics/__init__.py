"""Scores: accumulate sufficient statistics, compute plain figures."""
