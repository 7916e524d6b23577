// Rows gathered by index, and their gradient. Grid: (blocks of rows, batch). Block: (vectors of a row, rows).
//
// Forward copies bits in units of UNIT_BYTES, which divide a row and its address. Backward adds in float32 with
// atomics, whose order, and so the last bits of the sums, varies from run to run.
#ifndef UNIT_BYTES
#define UNIT_BYTES 16
#endif
#if UNIT_BYTES == 16
typedef uint4 unit_t;
#elif UNIT_BYTES == 4
typedef unsigned int unit_t;
#elif UNIT_BYTES == 2
typedef unsigned short unit_t;
#else
typedef unsigned char unit_t;
#endif
#ifndef ROWS
#define ROWS 4
#endif

extern "C" __global__ void group(const unit_t* __restrict__ features, const index_t* __restrict__ index, unit_t* __restrict__ out,
                                 int n, int rows, int units) {
  features += (size_t)blockIdx.y * n * units;
  index += (size_t)blockIdx.y * rows;
  out += (size_t)blockIdx.y * rows * units;
  const int first = blockIdx.x * blockDim.y * ROWS + threadIdx.y;
  int source[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; ++r) source[r] = (int)index[min(first + r * (int)blockDim.y, rows - 1)];
  for (int unit = threadIdx.x; unit < units; unit += blockDim.x) {
    unit_t value[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) value[r] = features[(size_t)source[r] * units + unit];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      int row = first + r * blockDim.y;
      if (row < rows) out[(size_t)row * units + unit] = value[r];
    }
  }
}

// One thread a centre and vector of channels. Runs of one index (a ball with few points repeats its first) are summed in
// registers and added once.
extern "C" __global__ void group_backward(const element* __restrict__ grad, const index_t* __restrict__ index,
                                          float* __restrict__ out, int n, int m, int k, int channels) {
  const int center = blockIdx.x * blockDim.y + threadIdx.y;
  if (center >= m) return;
  index += ((size_t)blockIdx.y * m + center) * k;
  grad += ((size_t)blockIdx.y * m + center) * k * channels;
  out += (size_t)blockIdx.y * n * channels;
  for (int c = threadIdx.x * VECTOR; c < channels; c += blockDim.x * VECTOR) {
    float sum[VECTOR] = {};
    index_t target = index[0];
    for (int first = 0; first < k; first += 4) {
      float value[4][VECTOR];
      index_t source[4];
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        int neighbor = min(first + u, k - 1);
        source[u] = index[neighbor];
        load_row(value[u], grad + (size_t)neighbor * channels + c);
      }
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        if (first + u >= k) break;
        bool same = source[u] == target;
        if (!same) add_row(out + target * channels + c, sum);
        target = source[u];
#pragma unroll
        for (int v = 0; v < VECTOR; ++v) sum[v] = same ? sum[v] + value[u][v] : value[u][v];
      }
    }
    add_row(out + target * channels + c, sum);
  }
}
