"""The point operations on NVIDIA GPUs (Ampere and newer): CUDA C++ through NVRTC, and Triton."""
