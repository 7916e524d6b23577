"""Measured speed of operations and steps, side by side with the plain reference; `askscan bench`."""
