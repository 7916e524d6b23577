// Farthest point sampling with one block a cloud, skipping what cannot change.
//
// The cloud comes in spatial buckets (spatial.cu). Every lane owns SLOTS buckets: it keeps their boxes and their farthest points in
// registers. A new centre changes only buckets whose box is nearer than their largest distance; the warp updates those together and
// leaves the rest, which after a few dozen centres is nearly all of them. A step is then one latency chain: box test, update of at
// most a few buckets a warp, warp winner, one block barrier, block winner. Neighbouring buckets belong to different warps, so that
// the buckets around a new centre are updated side by side.
#ifndef THREADS
#define THREADS 1024
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef CHUNKS
#define CHUNKS 2
#endif
#define WARPS (THREADS / 32)

struct Farthest {
  float x, y, z;
  unsigned distance, index;  // bits of the squared distance (monotone: it is never negative); original index
};

__device__ __forceinline__ bool beats(const Farthest& a, const Farthest& b) {
  return a.distance > b.distance || (a.distance == b.distance && a.index < b.index);
}

// The lane that holds the warp's farthest point; ties go to the lowest index.
__device__ __forceinline__ int winning_lane(const Farthest& mine) {
  unsigned distance = warp_max(mine.distance);
  unsigned index = warp_min(mine.distance == distance ? mine.index : NO_INDEX);
  return __ffs(__ballot_sync(FULL_WARP, mine.distance == distance && mine.index == index)) - 1;
}

__device__ __forceinline__ Farthest from_lane(const Farthest& mine, int lane) {
  return {__shfl_sync(FULL_WARP, mine.x, lane), __shfl_sync(FULL_WARP, mine.y, lane), __shfl_sync(FULL_WARP, mine.z, lane),
          __shfl_sync(FULL_WARP, mine.distance, lane), __shfl_sync(FULL_WARP, mine.index, lane)};
}

// Lowers the distances of one bucket to the new centre and returns, in every lane, its farthest point.
__device__ __forceinline__ Farthest update_bucket(const float4* __restrict__ points, float* distances, float x, float y, float z) {
  Farthest top = {0.f, 0.f, 0.f, 0u, NO_INDEX};
#pragma unroll 4
  for (int c = 0; c < CHUNKS; ++c) {
    float4 p = points[c * 32];
    float old = distances[c * 32];
    float d = squared_length(p.x - x, p.y - y, p.z - z);
    if (d < old) distances[c * 32] = d;
    Farthest here = {p.x, p.y, p.z, __float_as_uint(fminf(d, old)), __float_as_uint(p.w)};
    if (beats(here, top)) top = here;
  }
  return from_lane(top, winning_lane(top));
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
farthest_points(const float* __restrict__ xyz, const float4* __restrict__ sorted, const float4* __restrict__ boxes,
                float* distances, index_t* __restrict__ out, int n, int num_buckets, int num) {
  __shared__ Farthest candidate[2][WARPS];
  const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
  const int padded = num_buckets * CHUNKS * 32;
  xyz += (size_t)blockIdx.x * n * 3;
  sorted += (size_t)blockIdx.x * padded;
  boxes += (size_t)blockIdx.x * num_buckets * 2;
  distances += (size_t)blockIdx.x * padded;
  out += (size_t)blockIdx.x * num;

  // Padding starts at distance 0 with the largest index: it never wins against a point.
  for (int i = thread; i < padded; i += THREADS) distances[i] = i < n ? __uint_as_float(0x7f800000u) : 0.f;
  float4 low[SLOTS], high[SLOTS];
  Farthest top[SLOTS];
#pragma unroll
  for (int k = 0; k < SLOTS; ++k) {
    int bucket = warp + WARPS * (lane + 32 * k);
    bool real = bucket < num_buckets;
    low[k] = boxes[real ? 2 * bucket : 0];
    high[k] = boxes[real ? 2 * bucket + 1 : 1];
    top[k] = {0.f, 0.f, 0.f, real ? 0x7f800000u : 0u, NO_INDEX};
  }
  float x = xyz[0], y = xyz[1], z = xyz[2];
  if (thread == 0) out[0] = 0;
  Farthest mine = {0.f, 0.f, 0.f, 0u, NO_INDEX};
  bool leader = lane == 0;
  __syncthreads();

  for (int step = 1; step < num; ++step) {
    bool changed = false;
#pragma unroll
    for (int k = 0; k < SLOTS; ++k) {
      unsigned touched =
          __ballot_sync(FULL_WARP, box_distance(low[k], high[k], x, y, z) < __uint_as_float(top[k].distance));
      changed |= touched != 0;
      while (touched) {
        int owner = __ffs(touched) - 1;
        touched &= touched - 1;
        size_t first = (size_t)(warp + WARPS * (owner + 32 * k)) * (CHUNKS * 32) + lane;
        Farthest found = update_bucket(sorted + first, distances + first, x, y, z);
        if (lane == owner) top[k] = found;
      }
    }
    if (changed) {
      mine = top[0];
#pragma unroll
      for (int k = 1; k < SLOTS; ++k)
        if (beats(top[k], mine)) mine = top[k];
      leader = winning_lane(mine) == lane;
    }
    // Two buffers, so that one barrier a step is enough.
    if (leader) candidate[step & 1][warp] = mine;
    __syncthreads();
    Farthest other = {0.f, 0.f, 0.f, 0u, NO_INDEX};
    if (lane < WARPS) other = candidate[step & 1][lane];
    int source = winning_lane(other);
    x = __shfl_sync(FULL_WARP, other.x, source);
    y = __shfl_sync(FULL_WARP, other.y, source);
    z = __shfl_sync(FULL_WARP, other.z, source);
    // Infinite coordinates can leave no winner: stay inside the cloud.
    if (warp == 0 && lane == source) out[step] = other.index == NO_INDEX ? 0 : other.index;
  }
}
