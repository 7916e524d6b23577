// CUDA on one CPU thread, enough for the kernels of askscan.ops: every GPU thread is a fiber, warps and blocks meet at barriers.
#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))

struct float4 { float x, y, z, w; };
struct __align__(16) uint4 { unsigned x, y, z, w; };
struct dim3 { int x, y; };
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
template <class T> static T min(T a, T b) { return a < b ? a : b; }
template <class T> static T max(T a, T b) { return a > b ? a : b; }
static unsigned __float_as_uint(float v) { unsigned b; memcpy(&b, &v, 4); return b; }
static float __uint_as_float(unsigned b) { float v; memcpy(&v, &b, 4); return v; }
static int __popc(unsigned v) { return __builtin_popcount(v); }
static int __ffs(unsigned v) { return __builtin_ffs((int)v); }
template <class T> static T atomicAdd(T* p, T v) { T old = *p; *p += v; return old; }
template <class T> static T atomicMin(T* p, T v) { T old = *p; if (v < old) *p = v; return old; }
template <class T> static T atomicMax(T* p, T v) { T old = *p; if (v > old) *p = v; return old; }

struct Meeting { int expected = 0, arrived = 0; unsigned generation = 0; };
struct Warp { Meeting meeting; unsigned slot[2][32]; };
struct Fiber { ucontext_t context; dim3 thread; int lane; Warp* warp; int turn = 0; bool done = false; std::vector<char> stack; };

static ucontext_t scheduler;
static Fiber* current;
static Meeting block_meeting;
static dim3 blockIdx, blockDim, gridDim;
static void* dynamic_shared;
static void (*body)(void**);
static void** arguments;
#define threadIdx (current->thread)

static void meet(Meeting& at) {
  unsigned seen = at.generation;
  if (++at.arrived == at.expected) { at.arrived = 0; ++at.generation; return; }
  while (at.generation == seen) swapcontext(&current->context, &scheduler);
}
static void __syncthreads() { meet(block_meeting); }
static void __syncwarp() { meet(current->warp->meeting); }

// All lanes' values of one collective; two slots in turn, so that one meeting is enough.
template <class T> static const unsigned* exchange(T value) {
  static_assert(sizeof(T) == 4);
  unsigned* slot = current->warp->slot[current->turn ^= 1];
  memcpy(&slot[current->lane], &value, 4);
  meet(current->warp->meeting);
  return slot;
}
template <class T> static T lane_value(const unsigned* slot, int lane) { T v; memcpy(&v, &slot[lane], 4); return v; }
template <class T> static T __shfl_sync(unsigned, T v, int lane) { return lane_value<T>(exchange(v), lane & 31); }
template <class T> static T __shfl_up_sync(unsigned, T v, int step) {
  const unsigned* slot = exchange(v);
  return current->lane < step ? v : lane_value<T>(slot, current->lane - step);
}
static unsigned __ballot_sync(unsigned, bool v) {
  const unsigned* slot = exchange((unsigned)v);
  unsigned votes = 0;
  for (int l = 0; l < 32; ++l) votes |= (slot[l] & 1u) << l;
  return votes;
}
static unsigned __reduce_max_sync(unsigned, unsigned v) {
  const unsigned* slot = exchange(v);
  for (int l = 0; l < 32; ++l) v = max(v, slot[l]);
  return v;
}
static unsigned __reduce_min_sync(unsigned, unsigned v) {
  const unsigned* slot = exchange(v);
  for (int l = 0; l < 32; ++l) v = min(v, slot[l]);
  return v;
}

template <class... A, size_t... I> static void unpack(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
  kernel(*(A*)args[I]...);
}
template <class... A> static void invoke(void (*kernel)(A...), void** args) { unpack(kernel, args, std::index_sequence_for<A...>{}); }

static void enter() { body(arguments); current->done = true; swapcontext(&current->context, &scheduler); }

static void run_grid(void (*kernel)(void**), int gx, int gy, int bx, int by, int shared, void** args) {
  body = kernel, arguments = args, gridDim = {gx, gy}, blockDim = {bx, by};
  int threads = bx * by;
  std::vector<Fiber> fibers(threads);
  std::vector<char> memory(shared + 16);
  dynamic_shared = memory.data();
  for (auto& f : fibers) f.stack.resize(1 << 15);
  for (int block = 0; block < gx * gy; ++block) {
    blockIdx = {block % gx, block / gx};
    std::vector<Warp> warps((threads + 31) / 32);
    for (size_t w = 0; w < warps.size(); ++w) memset(warps[w].slot, 0, sizeof warps[w].slot), warps[w].meeting.expected = min(32, threads - 32 * (int)w);
    block_meeting = {threads, 0, 0};
    for (int t = 0; t < threads; ++t) {
      Fiber& f = fibers[t];
      f.thread = {t % bx, t / bx}, f.lane = t & 31, f.warp = &warps[t / 32], f.done = false, f.turn = 0;
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = f.stack.data(), f.context.uc_stack.ss_size = f.stack.size(), f.context.uc_link = nullptr;
      makecontext(&f.context, enter, 0);
    }
    for (int left = threads; left;) {
      for (auto& f : fibers) {
        if (f.done) continue;
        current = &f;
        swapcontext(&scheduler, &f.context);
        left -= f.done;
      }
    }
  }
}
