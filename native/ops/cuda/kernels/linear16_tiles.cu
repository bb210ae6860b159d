// Many rows: tiles on tensor cores (mma.m16n8k16), three stages of asynchronous copies in flight.
#include "ops/cuda/kernels/linear.cuh"
#include "ops/cuda/kernels/matrix.cuh"

namespace ved::cuda {
namespace {

constexpr int kDepth = 32, kThreads = 256, kStages = 3;

// A row of a tile is four chunks of 16 bytes; their places rotate so that eight rows read by one ldmatrix lie on
// different banks.
__device__ __forceinline__ int chunkOffset(int row, int chunk) { return row * 64 + ((chunk ^ (row >> 1)) & 3) * 16; }

__device__ __forceinline__ int limited(int64_t n, int limit) { return n < limit ? static_cast<int>(n) : limit; }

template <int kRows>
__device__ __forceinline__ void loadTile(unsigned char* to, const uint16_t* from, int64_t ld, int rows, int k0,
                                         int depth) {
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kRows * 4; i += kThreads) {
    const int row = i / 4, chunk = i % 4;
    const int k = k0 + chunk * 8, left = row < rows ? depth - k : 0;
    const int valid = left >= 8 ? 16 : left > 0 ? left * 2 : 0;
    copyAsync16(to + chunkOffset(row, chunk), valid ? from + row * ld + k : from, valid);
  }
}

// A tile of kM x kN outputs per block, a half times a quarter of it per warp. The sums pass through shared memory on
// their way out, half a tile at a time, so that rows are written in whole lines and the epilogue's code stands once.
template <class T, int kM, int kN>
__global__ void __launch_bounds__(kThreads, 2) tileKernel(LinearCall a, Operand x) {
  constexpr int kWarpM = kM / 2, kWarpN = kN / 4, kStageBytes = (kM + kN) * 64, kPitch = kN + 8;
  unsigned char* shared = sharedMemory<unsigned char>();  // [kStages][x tile, w tile], then [kWarpM][kPitch] floats
  const int64_t row0 = static_cast<int64_t>(blockIdx.y) * kM, col0 = static_cast<int64_t>(blockIdx.x) * kN;
  const int lane = laneIndex(), warpM = warpIndex() / 4, warpN = warpIndex() % 4 * kWarpN;
  const uint16_t* rows = x.data + row0 * x.ld;  // of this tile
  const uint16_t* weight = static_cast<const uint16_t*>(a.weight.data) + col0 * x.ldw;
  const int rowCount = limited(a.rows - row0, kM), colCount = limited(a.weight.out - col0, kN);
  const int depth = static_cast<int>(x.depth), tiles = (depth + kDepth - 1) / kDepth;
  const auto load = [&](int tile) {
    if (tile < tiles) {
      unsigned char* stage = shared + tile % kStages * kStageBytes;
      loadTile<kM>(stage, rows, x.ld, rowCount, tile * kDepth, depth);
      loadTile<kN>(stage + kM * 64, weight, x.ldw, colCount, tile * kDepth, depth);
    }
    commitAsync();  // also when there is nothing left: waits count groups
  };
  float sum[kWarpM / 16][kWarpN / 8][4] = {};
  for (int tile = 0; tile < kStages - 1; ++tile) load(tile);
  for (int tile = 0; tile < tiles; ++tile) {
    waitAsync<kStages - 2>();
    __syncthreads();  // everybody's copies have arrived, and nobody reads the stage that is loaded next
    load(tile + kStages - 1);
    const unsigned char* xs = shared + tile % kStages * kStageBytes;
    const unsigned char* ws = xs + kM * 64;
#pragma unroll
    for (int half = 0; half < 2; ++half) {  // 16 inputs each
      uint32_t fragmentX[kWarpM / 16][4], fragmentW[kWarpN / 16][4];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        loadMatrix4(fragmentX[i], xs + chunkOffset(warpM * kWarpM + i * 16 + lane % 16, half * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)  // two 8-column fragments at a time: columns 0-7 and 8-15, both depths
        loadMatrix4(fragmentW[j], ws + chunkOffset(warpN + j * 16 + lane % 8 + lane / 16 * 8, half * 2 + lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j) multiply<T>(sum[i][j], fragmentX[i], fragmentW[j / 2] + j % 2 * 2);
    }
  }
  waitAsync<0>();
  float* out = reinterpret_cast<float*>(shared);
  for (int part = 0; part < 2; ++part) {
    __syncthreads();
    if (warpM == part) {
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
#pragma unroll
          for (int e = 0; e < 2; ++e)
            *reinterpret_cast<float2*>(out + (i * 16 + lane / 4 + e * 8) * kPitch + warpN + j * 8 + lane % 4 * 2) =
                make_float2(sum[i][j][2 * e], sum[i][j][2 * e + 1]);
    }
    __syncthreads();
#pragma unroll 2
    for (int i = static_cast<int>(threadIdx.x); i < kWarpM * kN; i += kThreads) {
      const int row = part * kWarpM + i / kN, col = i % kN;
      if (row < rowCount && col < colCount) storeOutput(a, row0 + row, col0 + col, out[i / kN * kPitch + col]);
    }
  }
}

template <class T, int kM, int kN>
void launchTiles(Context& c, const LinearCall& a, const Operand& x) {
  constexpr int kOut = kM / 2 * (kN + 8) * 4,
                kShared = kStages * (kM + kN) * 64 > kOut ? kStages * (kM + kN) * 64 : kOut;
  constexpr int64_t kRowsPerLaunch = int64_t{65535} * kM;  // grids are limited to 65535 in y
  for (int64_t row = 0; row < a.rows; row += kRowsPerLaunch) {
    const LinearCall part = rowsOf(a, row, kRowsPerLaunch);
    const Operand rows = {x.data + row * x.ld, x.ld, x.depth, x.ldw};
    launchKernel(c.stream, tileKernel<T, kM, kN>, dim3(blocksFor(a.weight.out, kN), blocksFor(part.rows, kM)),
                 dim3(kThreads), size_t{kShared}, part, rows);
  }
}

template <class T>
void launchType(Context& c, const LinearCall& a, const Operand& x) {
  const int64_t large = int64_t{blocksFor(a.rows, 128)} * blocksFor(a.weight.out, 128);
  large >= c.properties.multiProcessorCount ? launchTiles<T, 128, 128>(c, a, x) : launchTiles<T, 64, 64>(c, a, x);
}

}  // namespace

void linearTiles(Context& c, const LinearCall& a, const Operand& x) {
  a.weight.type == ComputeType::Float16 ? launchType<Half>(c, a, x) : launchType<Brain>(c, a, x);
}

}  // namespace ved::cuda
