// Strict float32 products. Every output element is the sum of chains over kChunk inputs, added in order, whichever
// kernel computes it: a row's result has the same bits alone and in any batch.
#include "ops/cuda/kernels/linear.cuh"

namespace ved::cuda {
namespace {

constexpr int kChunk = 128;  // inputs per chain

// --- many rows: a 64 x 64 tile per block, 4 x 4 outputs per thread --------------------------------------------------
constexpr int kTile = 64, kDepth = 16, kThreads = 256;
constexpr int kPitch = kTile + 4;  // keeps the transposed stores of a warp on different banks

__global__ void __launch_bounds__(kThreads) gemmKernel(LinearCall a) {
  float* sharedX = sharedMemory<float>();      // [kDepth][kPitch]
  float* sharedW = sharedX + kDepth * kPitch;  // [kDepth][kPitch]
  const int64_t row0 = static_cast<int64_t>(blockIdx.y) * kTile, col0 = static_cast<int64_t>(blockIdx.x) * kTile;
  const int thread = static_cast<int>(threadIdx.x);
  const int tx = thread % 16, ty = thread / 16;
  const int64_t depth4 = (a.weight.in + 3) / 4;
  const float4* weight = static_cast<const float4*>(a.weight.data);  // [depth4][out]
  const float* x = static_cast<const float*>(a.x);
  float chain[4][4] = {}, total[4][4] = {};
  for (int64_t k0 = 0; k0 < a.weight.in; k0 += kDepth) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t row = row0 + thread / 16 + 16 * i, k = k0 + thread % 16;
      const bool inside = row < a.rows && k < a.weight.in;
      sharedX[thread % 16 * kPitch + thread / 16 + 16 * i] = inside ? x[row * a.ldx + k] : 0.0f;
    }
    const int64_t k4 = k0 / 4 + thread / 64, col = col0 + thread % 64;
    float4 w = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (k4 < depth4 && col < a.weight.out) w = weight[k4 * a.weight.out + col];
    float* to = sharedW + thread / 64 * 4 * kPitch + thread % 64;
    to[0] = w.x, to[kPitch] = w.y, to[2 * kPitch] = w.z, to[3 * kPitch] = w.w;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const float4 xs = *reinterpret_cast<const float4*>(sharedX + k * kPitch + ty * 4);
      const float4 ws = *reinterpret_cast<const float4*>(sharedW + k * kPitch + tx * 4);
      const float xv[4] = {xs.x, xs.y, xs.z, xs.w}, wv[4] = {ws.x, ws.y, ws.z, ws.w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) chain[i][j] = fmaf(xv[i], wv[j], chain[i][j]);
    }
    if ((k0 + kDepth) % kChunk == 0 || k0 + kDepth >= a.weight.in) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) total[i][j] += chain[i][j], chain[i][j] = 0.0f;
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t row = row0 + ty * 4 + i, col = col0 + tx * 4 + j;
      if (row < a.rows && col < a.weight.out) storeOutput(a, row, col, total[i][j]);
    }
}

// --- few rows: 32 outputs per block, one chain per warp at a time ----------------------------------------------------
constexpr int kFewWarps = 8;
constexpr int64_t kFewRows = 8;
constexpr int64_t kFewChunks = 40;  // chains whose sums fit into 48 KB for eight rows

template <int kRows>
__global__ void __launch_bounds__(kFewWarps* kWarp, 2) fewRowsKernel(LinearCall a, int64_t row0) {
  float* sums = sharedMemory<float>();  // [chunks][kRows][32]
  const int64_t col = static_cast<int64_t>(blockIdx.x) * kWarp + laneIndex();
  const int64_t chunks = (a.weight.in + kChunk - 1) / kChunk;
  const float4* weight = static_cast<const float4*>(a.weight.data);
  const float* x = static_cast<const float*>(a.x);
  for (int64_t chunk = warpIndex(); chunk < chunks; chunk += kFewWarps) {
    float chain[kRows] = {};
    const int64_t end = chunk * kChunk + kChunk < a.weight.in ? chunk * kChunk + kChunk : a.weight.in;
    if (col < a.weight.out) {
#pragma unroll 4
      for (int64_t k = chunk * kChunk; k < end; k += 4) {
        const float4 w = weight[k / 4 * a.weight.out + col];
        const float wv[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int r = 0; r < kRows; ++r)
#pragma unroll
          for (int j = 0; j < 4; ++j)
            if (row0 + r < a.rows && k + j < end) chain[r] = fmaf(x[(row0 + r) * a.ldx + k + j], wv[j], chain[r]);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) sums[(chunk * kRows + r) * kWarp + laneIndex()] = chain[r];
  }
  __syncthreads();
  if (col >= a.weight.out) return;
  for (int r = warpIndex(); r < kRows && row0 + r < a.rows; r += kFewWarps) {
    float total = 0.0f;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) total += sums[(chunk * kRows + r) * kWarp + laneIndex()];
    storeOutput(a, row0 + r, col, total);
  }
}

template <int kRows>
void launchFew(Context& c, const LinearCall& a) {
  const int64_t chunks = (a.weight.in + kChunk - 1) / kChunk;
  const size_t shared = static_cast<size_t>(chunks * kRows * kWarp) * sizeof(float);
  for (int64_t row = 0; row < a.rows; row += kRows)
    launchKernel(c.stream, fewRowsKernel<kRows>, dim3(blocksFor(a.weight.out, kWarp)), dim3(kFewWarps * kWarp), shared,
                 a, row);
}

__global__ void packF32Kernel(PackBlock a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.outCount * a.inCount) return;
  const int64_t n = i % a.outCount, k = i / a.outCount;  // neighbours write neighbouring outputs
  const int64_t in = a.inBegin + k, out = a.outBegin + n;
  static_cast<float*>(a.weight.data)[(in / 4 * a.weight.out + out) * 4 + in % 4] =
      a.source[n * a.outStride + k * a.inStride];
}

}  // namespace

void linearF32(Context& c, const LinearCall& a) {
  const bool fits = a.weight.in <= kFewChunks * kChunk;
  if (fits && a.rows == 1) return launchFew<1>(c, a);
  if (fits && a.rows <= 2) return launchFew<2>(c, a);
  if (fits && a.rows <= 4) return launchFew<4>(c, a);
  if (fits && a.rows <= kFewRows) return launchFew<8>(c, a);
  // Grids are limited to 65535 in y.
  constexpr int64_t kRowsPerLaunch = int64_t{65535} * kTile;
  for (int64_t row = 0; row < a.rows; row += kRowsPerLaunch) {
    const LinearCall part = rowsOf(a, row, kRowsPerLaunch);
    launchKernel(c.stream, gemmKernel, dim3(blocksFor(a.weight.out, kTile), blocksFor(part.rows, kTile)),
                 dim3(kThreads), 2 * kDepth * kPitch * sizeof(float), part);
  }
}

void packF32(Context& c, const PackBlock& a) {
  launchKernel(c.stream, packF32Kernel, dim3(blocksFor(a.outCount * a.inCount, kThreads)), dim3(kThreads), 0, a);
}

}  // namespace ved::cuda
