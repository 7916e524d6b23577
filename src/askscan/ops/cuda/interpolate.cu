// Three nearest points, and features interpolated from them. Grid of every kernel: (blocks, batch).
#define THREADS 128
#define TILE 512

struct Nearest {
  float distance[3];
  int index[3];
};

// Strictly nearer only: among equal distances the lowest index stays in front, as points come in index order.
__device__ __forceinline__ void insert(Nearest& best, float d, int i) {
  if (d >= best.distance[2]) return;
  if (d < best.distance[1]) {
    best.distance[2] = best.distance[1];
    best.index[2] = best.index[1];
    if (d < best.distance[0]) {
      best.distance[1] = best.distance[0];
      best.index[1] = best.index[0];
      best.distance[0] = d;
      best.index[0] = i;
    } else {
      best.distance[1] = d;
      best.index[1] = i;
    }
  } else {
    best.distance[2] = d;
    best.index[2] = i;
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
three_nearest(const float* __restrict__ query, const float* __restrict__ xyz, float* __restrict__ distances,
              index_t* __restrict__ out, int m, int n) {
  __shared__ float tile[TILE * 3];
  const int row = blockIdx.x * THREADS + threadIdx.x;
  const float* q = query + 3 * ((size_t)blockIdx.y * m + min(row, m - 1));
  const float x = q[0], y = q[1], z = q[2];
  xyz += (size_t)blockIdx.y * n * 3;
  const float infinity = __uint_as_float(0x7f800000u);
  Nearest best = {{infinity, infinity, infinity}, {-1, -1, -1}};
  for (int base = 0; base < n; base += TILE) {
    int size = min(TILE, n - base);
    __syncthreads();
    for (int i = threadIdx.x; i < size * 3; i += THREADS) tile[i] = xyz[(size_t)base * 3 + i];
    __syncthreads();
#pragma unroll 4
    for (int i = 0; i < size; ++i)
      insert(best, squared_length(tile[3 * i] - x, tile[3 * i + 1] - y, tile[3 * i + 2] - z), base + i);
  }
  if (row >= m) return;
  const size_t at = 3 * ((size_t)blockIdx.y * m + row);
  for (int j = 0; j < 3; ++j) {
    int from = best.index[j] < 0 ? 0 : j;  // fewer than three points: the nearest repeats
    distances[at + j] = sqrtf(best.distance[from]);
    out[at + j] = max(best.index[from], 0);
  }
}

// Block of the two below: (vectors of a row, rows).
extern "C" __global__ void interpolate(const element* __restrict__ features, const index_t* __restrict__ index,
                                       const float* __restrict__ weight, element* __restrict__ out, int n, int m, int channels) {
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= m) return;
  const size_t at = (size_t)blockIdx.y * m + row;
  features += (size_t)blockIdx.y * n * channels;
  for (int c = threadIdx.x * VECTOR; c < channels; c += blockDim.x * VECTOR) {
    float sum[VECTOR] = {};
#pragma unroll
    for (int j = 0; j < 3; ++j) {
      float value[VECTOR], w = weight[3 * at + j];
      load_row(value, features + index[3 * at + j] * channels + c);
#pragma unroll
      for (int v = 0; v < VECTOR; ++v) sum[v] += w * value[v];
    }
    store_row(out + at * channels + c, sum);
  }
}

extern "C" __global__ void interpolate_backward(const element* __restrict__ grad, const index_t* __restrict__ index,
                                                const float* __restrict__ weight, float* __restrict__ out, int n, int m,
                                                int channels) {
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= m) return;
  const size_t at = (size_t)blockIdx.y * m + row;
  out += (size_t)blockIdx.y * n * channels;
  for (int c = threadIdx.x * VECTOR; c < channels; c += blockDim.x * VECTOR) {
    float value[VECTOR], part[VECTOR];
    load_row(value, grad + at * channels + c);
#pragma unroll
    for (int j = 0; j < 3; ++j) {
      float w = weight[3 * at + j];
#pragma unroll
      for (int v = 0; v < VECTOR; ++v) part[v] = w * value[v];
      add_row(out + index[3 * at + j] * channels + c, part);
    }
  }
}
