// Ball query, one warp a centre: the first `num` points in index order with squared distance below r^2.
//
// `ball_query` walks the boxes of a spatially ordered cloud (spatial.cu) and ranks its hits by index. A ball with more than
// LIST hits is dense, so walking the cloud in index order, as `ball_scan` always does, ends soon. `ball_scan` alone is the faster
// one on small clouds, which are not worth ordering.
#ifndef CHUNKS
#define CHUNKS 1
#endif
#ifndef LIST
#define LIST 256
#endif
#define WARPS 8

__device__ void fill_rest(index_t* out, int found, int num, unsigned first) {
  for (int s = found + (threadIdx.x & 31); s < num; s += 32) out[s] = found ? first : 0;
}

__device__ void scan_in_order(const float* __restrict__ xyz, index_t* out, int n, int num, float r2, float x, float y, float z) {
  const int lane = threadIdx.x & 31;
  int found = 0;
  unsigned first = 0;
  for (int base = 0; base < n && found < num; base += 128) {
    bool hit[4];
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      int i = base + 32 * u + lane;
      const float* p = xyz + 3 * (size_t)min(i, n - 1);
      hit[u] = squared_length(p[0] - x, p[1] - y, p[2] - z) < r2 && i < n;
    }
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      unsigned votes = __ballot_sync(FULL_WARP, hit[u]);
      if (votes && !found) first = base + 32 * u + __ffs(votes) - 1;
      int place = found + __popc(votes & ((1u << lane) - 1));
      if (hit[u] && place < num) out[place] = base + 32 * u + lane;
      found += __popc(votes);
    }
  }
  fill_rest(out, found, num, first);
}

extern "C" __global__ void __launch_bounds__(WARPS * 32)
ball_scan(const float* __restrict__ centers, const float* __restrict__ xyz, index_t* __restrict__ out, int m, int n, int num,
          float r2) {
  const int query = blockIdx.x * WARPS + threadIdx.x / 32;
  if (query >= m) return;
  const size_t row = (size_t)blockIdx.y * m + query;
  const float* c = centers + 3 * row;
  scan_in_order(xyz + (size_t)blockIdx.y * n * 3, out + row * num, n, num, r2, c[0], c[1], c[2]);
}

extern "C" __global__ void __launch_bounds__(WARPS * 32)
ball_query(const float* __restrict__ centers, const float* __restrict__ xyz, const float4* __restrict__ sorted,
           const float4* __restrict__ boxes, index_t* __restrict__ out, int m, int n, int num_buckets, int num, float r2) {
  __shared__ __align__(16) unsigned lists[WARPS][LIST + 4];
  const int lane = threadIdx.x & 31, query = blockIdx.x * WARPS + threadIdx.x / 32;
  if (query >= m) return;
  unsigned* list = lists[threadIdx.x / 32];
  const size_t row = (size_t)blockIdx.y * m + query;
  const float x = centers[3 * row], y = centers[3 * row + 1], z = centers[3 * row + 2];
  sorted += (size_t)blockIdx.y * num_buckets * CHUNKS * 32;
  boxes += (size_t)blockIdx.y * num_buckets * 2;
  out += row * num;

  int found = 0;
  for (int base = 0; base < num_buckets && found <= LIST; base += 32) {
    int mine = min(base + lane, num_buckets - 1);
    bool near = box_distance(boxes[2 * mine], boxes[2 * mine + 1], x, y, z) < r2 && base + lane < num_buckets;
    for (unsigned touched = __ballot_sync(FULL_WARP, near); touched; touched &= touched - 1) {
      const float4* points = sorted + (size_t)(base + __ffs(touched) - 1) * CHUNKS * 32 + lane;
#pragma unroll 4
      for (int c = 0; c < CHUNKS; ++c) {
        float4 p = points[c * 32];
        unsigned index = __float_as_uint(p.w);
        bool hit = squared_length(p.x - x, p.y - y, p.z - z) < r2 && index != NO_INDEX;
        unsigned votes = __ballot_sync(FULL_WARP, hit);
        int place = found + __popc(votes & ((1u << lane) - 1));
        if (hit && place < LIST) list[place] = index;
        found += __popc(votes);
      }
    }
  }
  if (found > LIST) {
    scan_in_order(xyz + (size_t)blockIdx.y * n * 3, out, n, num, r2, x, y, z);
    return;
  }
  if (lane < 4) list[found + lane] = NO_INDEX;  // the ranking reads four at a time
  __syncwarp();
  unsigned first = NO_INDEX;
  for (int e = lane; e < found; e += 32) {
    unsigned index = list[e];
    int rank = 0;
    for (int o = 0; o < found; o += 4) {
      uint4 other = *(const uint4*)(list + o);
      rank += (other.x < index) + (other.y < index) + (other.z < index) + (other.w < index);
    }
    if (rank < num) out[rank] = index;
    first = min(first, index);
  }
  fill_rest(out, found, num, warp_min(first));
}
