// Shared by every kernel file: this text is put in front of it before compilation. No header is included anywhere, so that
// NVRTC needs none. Compiled with -fmad=false: squared distances keep one rounding order on every device.

typedef long long index_t;  // indices of the public contract

#define FULL_WARP 0xffffffffu
#define NO_INDEX 0xffffffffu  // index of padding: larger than any point's

__device__ __forceinline__ float squared_length(float x, float y, float z) { return (x * x + y * y) + z * z; }

// Lower bound of the squared distance from a point to anything inside a box. Exact against squared_length of the differences:
// subtraction, square and sum round monotonically, so the computed bound never exceeds a computed distance.
__device__ __forceinline__ float box_distance(float4 low, float4 high, float x, float y, float z) {
  float dx = fmaxf(fmaxf(low.x - x, x - high.x), 0.f);
  float dy = fmaxf(fmaxf(low.y - y, y - high.y), 0.f);
  float dz = fmaxf(fmaxf(low.z - z, z - high.z), 0.f);
  return squared_length(dx, dy, dz);
}

__device__ __forceinline__ unsigned warp_max(unsigned value) { return __reduce_max_sync(FULL_WARP, value); }
__device__ __forceinline__ unsigned warp_min(unsigned value) { return __reduce_min_sync(FULL_WARP, value); }

// Unsigned integers in the order of the floats, and back: min and max of floats by integer warp reductions and atomics.
__device__ __forceinline__ unsigned ordered(float value) {
  unsigned bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float from_ordered(unsigned bits) {
  return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// --- feature rows ----------------------------------------------------------------------------------------------------
// DTYPE: 0 float32, 1 float16, 2 bfloat16 of the features. VECTOR: channels a thread handles at once (1, or 16 bytes' worth).
#ifndef DTYPE
#define DTYPE 0
#endif
#ifndef VECTOR
#define VECTOR 4
#endif
#if DTYPE == 0
typedef float element;
__device__ __forceinline__ float to_float(element value) { return value; }
__device__ __forceinline__ element to_element(float value) { return value; }
#else
typedef unsigned short element;
#if DTYPE == 1
__device__ __forceinline__ float to_float(element value) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value));
  return wide;
}
__device__ __forceinline__ element to_element(float value) {
  element narrow;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(narrow) : "f"(value));
  return narrow;
}
#else
__device__ __forceinline__ float to_float(element value) { return __uint_as_float((unsigned)value << 16); }
__device__ __forceinline__ element to_element(float value) {
  unsigned bits = __float_as_uint(value);
  if (value != value) return 0x7fff;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;  // to nearest, ties to even
}
#endif
#endif

union Pack {
  uint4 whole;
  element parts[16 / sizeof(element)];
};

__device__ __forceinline__ void load_row(float (&values)[VECTOR], const element* __restrict__ from) {
#if VECTOR == 1
  values[0] = to_float(from[0]);
#else
  Pack pack;
  pack.whole = *(const uint4*)from;
#pragma unroll
  for (int v = 0; v < VECTOR; ++v) values[v] = to_float(pack.parts[v]);
#endif
}

__device__ __forceinline__ void store_row(element* to, const float (&values)[VECTOR]) {
#if VECTOR == 1
  to[0] = to_element(values[0]);
#else
  Pack pack;
#pragma unroll
  for (int v = 0; v < VECTOR; ++v) pack.parts[v] = to_element(values[v]);
  *(uint4*)to = pack.whole;
#endif
}

__device__ __forceinline__ void add_row(float* to, const float (&values)[VECTOR]) {
#if VECTOR >= 4 && __CUDA_ARCH__ >= 900
#pragma unroll
  for (int v = 0; v < VECTOR; v += 4)
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to + v), "f"(values[v]), "f"(values[v + 1]),
                 "f"(values[v + 2]), "f"(values[v + 3])
                 : "memory");
#else
#pragma unroll
  for (int v = 0; v < VECTOR; ++v) atomicAdd(to + v, values[v]);
#endif
}
