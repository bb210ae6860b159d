// Few rows: the weights are streamed once, straight from memory into tensor core fragments. Outputs are the rows of
// mma.m16n8k16 and rows its columns, so that eight rows cost what one does. The inputs are split over the warps of a
// block and the partial sums added in order, so a row's bits depend neither on its place nor on the other rows.
//
// Which of the 16 inputs of a product a lane holds is free as long as both factors agree: lane q of four takes eight
// inputs that lie side by side, one load of 16 bytes, and serves two products with them.
#include "ops/cuda/kernels/linear.cuh"
#include "ops/cuda/kernels/matrix.cuh"

namespace ved::cuda {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * kWarp;
constexpr int kBlock = 32;  // inputs per warp and round

// Eight inputs, zeros behind the last. Always reads inside the matrix.
__device__ __forceinline__ uint4 loadInputs(const uint16_t* row, int64_t k, int64_t depth) {
  const int64_t last = (depth - 1) / 8 * 8;
  uint4 v = *reinterpret_cast<const uint4*>(row + (k < last ? k : last));
  if (k + 8 <= depth) return v;
  uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t at = k + 2 * i;
    words[i] &= at + 1 < depth ? 0xffffffffu : at < depth ? 0xffffu : 0u;
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

// kM: fragments of 16 outputs, kN: fragments of 8 rows.
template <class T, int kM, int kN>
__global__ void __launch_bounds__(kThreads) fewRowsKernel(LinearCall a, Operand x) {
  constexpr int kOutputs = 16 * kM, kRows = 8 * kN;
  float* partial = sharedMemory<float>();  // [kWarps][kRows][kOutputs]
  const int lane = laneIndex(), group = lane / 4;
  const int64_t col0 = static_cast<int64_t>(blockIdx.x) * kOutputs;
  const uint16_t *weight[2 * kM], *input[kN];
#pragma unroll
  for (int i = 0; i < 2 * kM; ++i) {  // past the end the last output is computed again, and dropped
    const int64_t col = col0 + i * 8 + group;
    weight[i] = static_cast<const uint16_t*>(a.weight.data) + (col < a.weight.out ? col : a.weight.out - 1) * x.ldw;
  }
#pragma unroll
  for (int i = 0; i < kN; ++i) {
    const int64_t row = i * 8 + group;
    input[i] = x.data + (row < a.rows ? row : a.rows - 1) * x.ld;
  }
  float sum[kM][kN][4] = {};
#pragma unroll(kN <= 2 ? 4 : 2)
  for (int64_t k0 = warpIndex() * kBlock; k0 < x.depth; k0 += kWarps * kBlock) {
    const int64_t k = k0 + lane % 4 * 8;
    uint4 w[2 * kM], v[kN];
#pragma unroll
    for (int i = 0; i < 2 * kM; ++i) w[i] = loadInputs(weight[i], k, x.depth);
#pragma unroll
    for (int i = 0; i < kN; ++i) v[i] = loadInputs(input[i], k, x.depth);
#pragma unroll
    for (int m = 0; m < kM; ++m) {
      const uint32_t low[4] = {w[2 * m].x, w[2 * m + 1].x, w[2 * m].y, w[2 * m + 1].y};
      const uint32_t high[4] = {w[2 * m].z, w[2 * m + 1].z, w[2 * m].w, w[2 * m + 1].w};
#pragma unroll
      for (int n = 0; n < kN; ++n) {
        const uint32_t first[2] = {v[n].x, v[n].y}, second[2] = {v[n].z, v[n].w};
        multiply<T>(sum[m][n], low, first);
        multiply<T>(sum[m][n], high, second);
      }
    }
  }
  float* own = partial + warpIndex() * kRows * kOutputs;
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        own[(n * 8 + lane % 4 * 2 + e % 2) * kOutputs + m * 16 + group + e / 2 * 8] = sum[m][n][e];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kOutputs; i += kThreads) {
    const int64_t row = i / kOutputs, col = col0 + i % kOutputs;
    if (row >= a.rows || col >= a.weight.out) continue;
    float total = 0.0f;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) total += partial[w * kRows * kOutputs + i];
    storeOutput(a, row, col, total);
  }
}

template <class T, int kM, int kN>
void launchFew(Context& c, const LinearCall& a, const Operand& x) {
  launchKernel(c.stream, fewRowsKernel<T, kM, kN>, dim3(blocksFor(a.weight.out, 16 * kM)), dim3(kThreads),
               sizeof(float) * kWarps * 8 * kN * 16 * kM, a, x);
}

template <class T>
void launchType(Context& c, const LinearCall& a, const Operand& x) {
  // Two fragments of outputs per block halve what is read of x, where that leaves enough blocks.
  const bool wide = a.weight.out >= int64_t{64} * c.properties.multiProcessorCount;
  if (a.rows <= 8)
    wide ? launchFew<T, 2, 1>(c, a, x) : launchFew<T, 1, 1>(c, a, x);
  else if (a.rows <= 16)
    wide ? launchFew<T, 2, 2>(c, a, x) : launchFew<T, 1, 2>(c, a, x);
  else if (a.rows <= 32)
    launchFew<T, 1, 4>(c, a, x);
  else
    launchFew<T, 1, 8>(c, a, x);
}

}  // namespace

void linearFewRows(Context& c, const LinearCall& a, const Operand& x) {
  a.weight.type == ComputeType::Float16 ? launchType<Half>(c, a, x) : launchType<Brain>(c, a, x);
}

}  // namespace ved::cuda
