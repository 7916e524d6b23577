"""The point operations on the CPU: numba and scipy."""
