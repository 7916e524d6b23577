"""The point operations on NVIDIA GPUs (Ampere and newer): CUDA C++ compiled at run time through NVRTC."""
