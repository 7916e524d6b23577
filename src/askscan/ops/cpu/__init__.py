"""The point operations on the CPU, compiled by numba."""
