// Products with bfloat16 operands and float32 sums. Rows are rounded once into scratch memory; many rows go to tensor
// cores (mma.m16n8k16), few to a kernel that streams the weights.
#include "ops/cuda/kernels/linear.cuh"
#include "ops/cuda/kernels/matrix.cuh"

namespace ved::cuda {
namespace {

constexpr int kPackThreads = 256;

__device__ __forceinline__ int64_t globalThread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + static_cast<int64_t>(threadIdx.x);
}

__global__ void pack16Kernel(PackBlock a, int64_t depth) {
  const int64_t i = globalThread();
  if (i >= a.outCount * a.inCount) return;
  const int64_t n = i / a.inCount, k = i % a.inCount;  // neighbours write neighbouring inputs
  static_cast<uint16_t*>(a.weight.data)[(a.outBegin + n) * depth + a.inBegin + k] =
      Brain::fromFloat(a.source[n * a.outStride + k * a.inStride]);
}

// x [rows, in] -> bfloat16 [rows, depth], zero behind the last input
__global__ void roundRowsKernel(const float* x, int64_t ldx, uint16_t* to, int64_t rows, int64_t in, int64_t depth) {
  const int64_t i = globalThread();
  if (i >= rows * depth) return;
  const int64_t k = i % depth;
  to[i] = k < in ? Brain::fromFloat(x[i / depth * ldx + k]) : uint16_t{0};
}

// --- many rows: a 128 x 128 tile per block, 64 x 32 per warp, three stages in flight ---------------------------------
constexpr int kTileM = 128, kTileN = 128, kDepth = 32, kThreads = 256, kStages = 3;
constexpr int kStageBytes = (kTileM + kTileN) * kDepth * 2;

// A row of a tile is four chunks of 16 bytes; their places rotate so that eight rows read by one ldmatrix lie on
// different banks.
__device__ __forceinline__ int chunkOffset(int row, int chunk) { return row * 64 + ((chunk ^ (row >> 1)) & 3) * 16; }

__device__ __forceinline__ void loadTile(unsigned char* to, const uint16_t* from, int64_t row0, int64_t rows,
                                         int64_t k0, int64_t depth) {
  for (int i = static_cast<int>(threadIdx.x); i < 128 * 4; i += kThreads) {
    const int row = i / 4, chunk = i % 4;
    const int64_t k = k0 + chunk * 8;
    const bool inside = row0 + row < rows && k < depth;
    copyAsync16(to + chunkOffset(row, chunk), inside ? from + (row0 + row) * depth + k : from, inside);
  }
}

__global__ void __launch_bounds__(kThreads) mmaKernel(LinearCall a, const uint16_t* x, int64_t depth) {
  unsigned char* shared = sharedMemory<unsigned char>();  // [kStages][x tile, w tile]
  const int64_t row0 = static_cast<int64_t>(blockIdx.y) * kTileM, col0 = static_cast<int64_t>(blockIdx.x) * kTileN;
  const int lane = laneIndex(), warpM = warpIndex() / 4 * 64, warpN = warpIndex() % 4 * 32;
  const uint16_t* weight = static_cast<const uint16_t*>(a.weight.data);
  const int tiles = static_cast<int>((depth + kDepth - 1) / kDepth);
  const auto load = [&](int tile) {
    if (tile < tiles) {
      unsigned char* stage = shared + tile % kStages * kStageBytes;
      loadTile(stage, x, row0, a.rows, static_cast<int64_t>(tile) * kDepth, depth);
      loadTile(stage + kTileM * 64, weight, col0, a.weight.out, static_cast<int64_t>(tile) * kDepth, depth);
    }
    commitAsync();  // also when there is nothing left: waits count groups
  };
  float sum[4][4][4] = {};
  for (int tile = 0; tile < kStages - 1; ++tile) load(tile);
  for (int tile = 0; tile < tiles; ++tile) {
    waitAsync<kStages - 2>();
    __syncthreads();  // everybody's copies have arrived, and nobody reads the stage that is loaded next
    load(tile + kStages - 1);
    const unsigned char* xs = shared + tile % kStages * kStageBytes;
    const unsigned char* ws = xs + kTileM * 64;
#pragma unroll
    for (int half = 0; half < 2; ++half) {  // 16 inputs each
      uint32_t fragmentX[4][4], fragmentW[2][4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        loadMatrix4(fragmentX[i], xs + chunkOffset(warpM + i * 16 + lane % 16, half * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < 2; ++j)  // two 8-column fragments at a time: columns 0-7 and 8-15, both depths
        loadMatrix4(fragmentW[j], ws + chunkOffset(warpN + j * 16 + lane % 8 + lane / 16 * 8, half * 2 + lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) multiplyBrain(sum[i][j], fragmentX[i], fragmentW[j / 2] + j % 2 * 2);
    }
  }
  waitAsync<0>();
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t row = row0 + warpM + i * 16 + lane / 4 + e / 2 * 8;
        const int64_t col = col0 + warpN + j * 8 + lane % 4 * 2 + e % 2;
        if (row < a.rows && col < a.weight.out) storeOutput(a, row, col, sum[i][j][e]);
      }
}

// --- few rows: a warp per output, eight inputs per lane and load
// ------------------------------------------------------
constexpr int kFewWarps = 4;
constexpr int64_t kFewRows = 16;

template <int kRows>
__global__ void __launch_bounds__(kFewWarps* kWarp)
    few16Kernel(LinearCall a, const uint16_t* x, int64_t depth, int64_t row0) {
  const int64_t col = static_cast<int64_t>(blockIdx.x) * kFewWarps + warpIndex();
  if (col >= a.weight.out) return;  // a whole warp leaves
  const uint16_t* weight = static_cast<const uint16_t*>(a.weight.data) + col * depth;
  float sum[kRows] = {};
  for (int64_t k = laneIndex() * 8; k < depth; k += kWarp * 8) {
    const uint4 w = *reinterpret_cast<const uint4*>(weight + k);
    const uint32_t wv[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (row0 + r >= a.rows) continue;
      const uint4 v = *reinterpret_cast<const uint4*>(x + (row0 + r) * depth + k);
      const uint32_t xv[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        sum[r] =
            fmaf(Brain::toFloat(static_cast<uint16_t>(xv[j])), Brain::toFloat(static_cast<uint16_t>(wv[j])), sum[r]);
        sum[r] = fmaf(Brain::toFloat(static_cast<uint16_t>(xv[j] >> 16)),
                      Brain::toFloat(static_cast<uint16_t>(wv[j] >> 16)), sum[r]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float total = warpSum(sum[r]);
    if (laneIndex() == 0 && row0 + r < a.rows) storeOutput(a, row0 + r, col, total);
  }
}

template <int kRows>
void launchFew(Context& c, const LinearCall& a, const uint16_t* x, int64_t depth) {
  for (int64_t row = 0; row < a.rows; row += kRows)
    launchKernel(c.stream, few16Kernel<kRows>, dim3(blocksFor(a.weight.out, kFewWarps)), dim3(kFewWarps * kWarp), 0, a,
                 x, depth, row);
}

void launchMma(Context& c, const LinearCall& a, const uint16_t* x, int64_t depth) {
  constexpr int64_t kRowsPerLaunch = int64_t{65535} * kTileM;  // grids are limited to 65535 in y
  for (int64_t row = 0; row < a.rows; row += kRowsPerLaunch) {
    LinearCall part = a;
    part.y += row * a.ldy;
    if (part.residual) part.residual += row * a.ldr;
    part.rows = a.rows - row < kRowsPerLaunch ? a.rows - row : kRowsPerLaunch;
    launchKernel(c.stream, mmaKernel, dim3(blocksFor(a.weight.out, kTileN), blocksFor(part.rows, kTileM)),
                 dim3(kThreads), size_t{kStages} * kStageBytes, part, x + row * depth, depth);
  }
}

}  // namespace

Status linear16(Context& c, const LinearCall& a) {
  const int64_t depth = paddedDepth(a.weight.in);
  const size_t bytes = static_cast<size_t>(a.rows * depth) * 2;
  if (bytes > c.scratchBytes) {
    if (c.capturing) {
      c.error = "scratch memory has to grow while a run is being recorded";
      return kFailed;
    }
    void* larger = nullptr;
    const size_t size = bytes > 2 * c.scratchBytes ? bytes : 2 * c.scratchBytes;
    const Status status = report(c, cudaMalloc(&larger, size), "cudaMalloc");
    if (status != kOk) return status;
    if (c.scratch) c.retired.push_back(c.scratch);
    c.scratch = larger, c.scratchBytes = size;
  }
  auto* x = static_cast<uint16_t*>(c.scratch);
  launchKernel(c.stream, roundRowsKernel, dim3(blocksFor(a.rows * depth, kPackThreads)), dim3(kPackThreads), 0, a.x,
               a.ldx, x, a.rows, a.weight.in, depth);
  const auto* rounded = static_cast<const uint16_t*>(x);
  if (a.rows == 1)
    launchFew<1>(c, a, rounded, depth);
  else if (a.rows <= 4)
    launchFew<4>(c, a, rounded, depth);
  else if (a.rows <= kFewRows)
    launchFew<8>(c, a, rounded, depth);
  else
    launchMma(c, a, rounded, depth);
  return launched(c, "linear");
}

void pack16(Context& c, const PackBlock& a) {
  launchKernel(c.stream, pack16Kernel, dim3(blocksFor(a.outCount * a.inCount, kPackThreads)), dim3(kPackThreads), 0, a,
               paddedDepth(a.weight.in));
}

}  // namespace ved::cuda
