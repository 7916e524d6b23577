// Orders each cloud along a space-filling path and cuts it into buckets of 32 * CHUNKS points with their boxes.
//
// One block a cloud. A counting sort over 2^CELL_BITS cells, made by halving the longest edge of the cloud's box again and again
// (a Morton order that follows the cloud's proportions). The order inside a cell depends on scheduling; no result does: the users
// of the buckets break ties by the point's original index, kept in `w`.
#ifndef CELL_BITS
#define CELL_BITS 14
#endif
#define THREADS 1024
#define NUM_CELLS (1 << CELL_BITS)
#define CELLS_PER_THREAD (NUM_CELLS / THREADS)

struct Cells {
  float low[3], scale[3];
  int bits[3], axis[CELL_BITS];
};

__device__ __forceinline__ int cell_of(const Cells& cells, const float* point) {
  int q[3], left[3];
  for (int a = 0; a < 3; ++a) {
    left[a] = cells.bits[a];
    // Clamped, so that even a NaN stays inside the table.
    q[a] = min(max((int)((point[a] - cells.low[a]) * cells.scale[a]), 0), (1 << left[a]) - 1);
  }
  int key = 0;
#pragma unroll
  for (int level = 0; level < CELL_BITS; ++level) {
    int a = cells.axis[level];
    int bit = a == 0 ? q[0] >> --left[0] : a == 1 ? q[1] >> --left[1] : q[2] >> --left[2];
    key = key * 2 + (bit & 1);
  }
  return key;
}

__device__ void plan_cells(Cells& cells, const unsigned* low, const unsigned* high) {
  float edge[3];
  for (int a = 0; a < 3; ++a) {
    cells.low[a] = from_ordered(low[a]);
    edge[a] = from_ordered(high[a]) - cells.low[a];
    cells.scale[a] = edge[a];
    cells.bits[a] = 0;
  }
  for (int level = 0; level < CELL_BITS; ++level) {
    int a = edge[0] >= edge[1] ? (edge[0] >= edge[2] ? 0 : 2) : (edge[1] >= edge[2] ? 1 : 2);
    cells.axis[level] = a;
    cells.bits[a] += 1;
    edge[a] *= 0.5f;
  }
  for (int a = 0; a < 3; ++a) cells.scale[a] = cells.scale[a] > 0.f ? (1 << cells.bits[a]) / cells.scale[a] : 0.f;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
sort_points(const float* __restrict__ xyz, float4* sorted, float4* boxes, int n, int num_buckets, int chunks) {
  extern __shared__ int count[];
  __shared__ Cells cells;
  __shared__ unsigned low[3], high[3];
  __shared__ int warp_total[32];
  const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
  const int padded = num_buckets * chunks * 32;
  xyz += (size_t)blockIdx.x * n * 3;
  sorted += (size_t)blockIdx.x * padded;
  boxes += (size_t)blockIdx.x * num_buckets * 2;

  for (int i = thread; i < NUM_CELLS; i += THREADS) count[i] = 0;
  if (thread < 3) low[thread] = NO_INDEX, high[thread] = 0;
  __syncthreads();
  unsigned mine_low[3] = {NO_INDEX, NO_INDEX, NO_INDEX}, mine_high[3] = {0, 0, 0};
#pragma unroll 4
  for (int i = thread; i < n; i += THREADS)
    for (int a = 0; a < 3; ++a) {
      unsigned value = ordered(xyz[3 * (size_t)i + a]);
      mine_low[a] = min(mine_low[a], value);
      mine_high[a] = max(mine_high[a], value);
    }
  for (int a = 0; a < 3; ++a) {
    unsigned l = warp_min(mine_low[a]), h = warp_max(mine_high[a]);
    if (lane == 0) atomicMin(&low[a], l), atomicMax(&high[a], h);
  }
  __syncthreads();
  if (thread == 0) plan_cells(cells, low, high);
  __syncthreads();

#pragma unroll 4
  for (int i = thread; i < n; i += THREADS) atomicAdd(&count[cell_of(cells, xyz + 3 * (size_t)i)], 1);
  __syncthreads();

  // Exclusive prefix sum over the cells.
  int* run = count + thread * CELLS_PER_THREAD;
  int total = 0;
  for (int c = 0; c < CELLS_PER_THREAD; ++c) total += run[c];
  int before = total;
  for (int step = 1; step < 32; step *= 2) {
    int other = __shfl_up_sync(FULL_WARP, before, step);
    if (lane >= step) before += other;
  }
  if (lane == 31) warp_total[warp] = before;
  __syncthreads();
  if (warp == 0) {
    int sum = warp_total[lane];
    for (int step = 1; step < 32; step *= 2) {
      int other = __shfl_up_sync(FULL_WARP, sum, step);
      if (lane >= step) sum += other;
    }
    warp_total[lane] = sum;
  }
  __syncthreads();
  before += (warp ? warp_total[warp - 1] : 0) - total;
  for (int c = 0; c < CELLS_PER_THREAD; ++c) {
    int here = run[c];
    run[c] = before;
    before += here;
  }
  __syncthreads();

#pragma unroll 4
  for (int i = thread; i < n; i += THREADS) {
    const float* point = xyz + 3 * (size_t)i;
    int place = atomicAdd(&count[cell_of(cells, point)], 1);
    sorted[place] = make_float4(point[0], point[1], point[2], __uint_as_float(i));
  }
  __syncthreads();
  // Padding repeats the last point, so that it widens no box.
  float4 last = sorted[n - 1];
  last.w = __uint_as_float(NO_INDEX);
  for (int i = n + thread; i < padded; i += THREADS) sorted[i] = last;
  __syncthreads();

  for (int bucket = warp; bucket < num_buckets; bucket += THREADS / 32) {
    unsigned l[3] = {NO_INDEX, NO_INDEX, NO_INDEX}, h[3] = {0, 0, 0};
    for (int c = 0; c < chunks; ++c) {
      float4 p = sorted[((size_t)bucket * chunks + c) * 32 + lane];
      float point[3] = {p.x, p.y, p.z};
      for (int a = 0; a < 3; ++a) {
        l[a] = min(l[a], ordered(point[a]));
        h[a] = max(h[a], ordered(point[a]));
      }
    }
    for (int a = 0; a < 3; ++a) l[a] = warp_min(l[a]), h[a] = warp_max(h[a]);
    if (lane == 0) {
      boxes[2 * bucket] = make_float4(from_ordered(l[0]), from_ordered(l[1]), from_ordered(l[2]), 0.f);
      boxes[2 * bucket + 1] = make_float4(from_ordered(h[0]), from_ordered(h[1]), from_ordered(h[2]), 0.f);
    }
  }
}
