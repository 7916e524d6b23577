"""The point operations on the GPU: CUDA C++ through NVRTC, and Triton."""
