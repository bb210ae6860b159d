// Row-wise ops: norms with one warp per row, and the element-wise forms of unfused programs.
#include "ops/cuda/kernels/activation.cuh"
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kWarpsPerBlock = 4;
constexpr int kThreads = 256;

__device__ __forceinline__ float rowMean(const float* x, int64_t width) {
  const float inverseWidth = 1.0f / static_cast<float>(width);
  float sum = 0.0f;
  for (int64_t i = laneIndex(); i < width; i += kWarp) sum += x[i];
  const float mean = warpSum(sum) * inverseWidth;
  // A second look at what rounding left of the mean: the deviations of large equal values are exactly zero.
  float rest = 0.0f;
  for (int64_t i = laneIndex(); i < width; i += kWarp) rest += x[i] - mean;
  return mean + warpSum(rest) * inverseWidth;
}

// Every lane reads and writes the same elements in all passes, so y may be x.
__global__ void __launch_bounds__(kWarpsPerBlock* kWarp) layerNormKernel(ops::LayerNormArgs a) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + warpIndex();
  if (row >= a.rows) return;  // a whole warp leaves
  const float* x = a.x + row * a.ldx;
  const float inverseWidth = 1.0f / static_cast<float>(a.width);
  const bool centred = a.kind == ops::NormKind::Layer;
  const float centre = centred ? rowMean(x, a.width) : 0.0f;
  float squares = 0.0f;
  for (int64_t i = laneIndex(); i < a.width; i += kWarp) {
    const float d = x[i] - centre;
    squares = fmaf(d, d, squares);
  }
  const float inverse = 1.0f / sqrtf(warpSum(squares) * inverseWidth + a.eps);
  for (int64_t i = laneIndex(); i < a.width; i += kWarp) {
    const float y = fmaf((x[i] - centre) * inverse, a.gamma[i], centred ? a.beta[i] : 0.0f);
    if (a.y) a.y[row * a.ldy + i] = y;
    if (a.rounded) storeElement(a.rounded, a.roundedElement, row * a.ldRounded + i, y);
  }
}

__device__ __forceinline__ int64_t globalThread() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + static_cast<int64_t>(threadIdx.x);
}

__global__ void addBiasKernel(ops::AddBiasArgs a) {
  const int64_t i = globalThread();
  if (i < a.rows * a.width) a.y[i] += a.bias[i % a.width];
}

__global__ void activateKernel(ops::ActivateArgs a) {
  const int64_t i = globalThread();
  if (i < a.rows * a.width) a.y[i] = activateOne(a.y[i], a.activation);
}

__global__ void addKernel(ops::AddArgs a) {
  const int64_t i = globalThread();
  if (i < a.rows * a.width) a.y[i] += a.x[i];
}

__global__ void scaleColumnsKernel(ops::ScaleColumnsArgs a) {
  const int64_t i = globalThread();
  if (i < a.rows * a.width) a.y[i] *= a.factors[i % a.width];
}

__global__ void gateKernel(ops::GateArgs a, int64_t ldy) {
  const int64_t i = globalThread();
  if (i >= a.rows * a.width) return;
  const float* x = a.x + i / a.width * 2 * a.width + i % a.width;
  storeElement(a.y, a.yElement, i / a.width * ldy + i % a.width, activateOne(x[0], a.activation) * x[a.width]);
}

__global__ void rotateKernel(ops::RotateArgs a) {
  const int64_t half = a.headDim / 2, i = globalThread();
  if (i >= a.batch * a.cells * 2 * a.heads * half) return;
  const int64_t d = i % half, head = i / half % (2 * a.heads), cell = i / half / (2 * a.heads) % a.cells;
  const int64_t image = i / half / (2 * a.heads) / a.cells;
  const int64_t row = image * a.tokens + a.tokens - a.cells + cell;
  float* x = a.qkv + row * 3 * a.heads * a.headDim + head * a.headDim + d;
  const float first = x[0], second = x[half], cosine = a.cosines[cell * half + d], sine = a.sines[cell * half + d];
  x[0] = first * cosine - second * sine;
  x[half] = second * cosine + first * sine;
}

__global__ void turnPairsKernel(ops::TurnPairsArgs a) {
  const int64_t half = a.headDim / 2, i = globalThread();
  if (i >= a.tokens * a.parts * a.heads * half) return;
  const int64_t d = i % half, head = i / half % (a.parts * a.heads), t = i / half / (a.parts * a.heads);
  float* x = a.qkv + (t * 3 * a.heads + head) * a.headDim + 2 * d;
  const int64_t angle = a.positionIds[t] * half + d;
  const float even = x[0], odd = x[1], cosine = a.cosines[angle], sine = a.sines[angle];
  x[0] = even * cosine - odd * sine;
  x[1] = odd * cosine + even * sine;
}

template <class Args>
Status elementwise(Context& c, void (*kernel)(Args), const Args& a, const char* what) {
  if (a.rows * a.width > 0)
    launchKernel(c.stream, kernel, dim3(blocksFor(a.rows * a.width, kThreads)), dim3(kThreads), 0, a);
  return launched(c, what);
}

}  // namespace

Status layerNorm(Context& c, const ops::LayerNormArgs& a) {
  if (a.rows > 0)
    launchKernel(c.stream, layerNormKernel, dim3(blocksFor(a.rows, kWarpsPerBlock)), dim3(kWarpsPerBlock * kWarp), 0,
                 a);
  return launched(c, "layer_norm");
}
Status addBias(Context& c, const ops::AddBiasArgs& a) { return elementwise(c, addBiasKernel, a, "add_bias"); }
Status activate(Context& c, const ops::ActivateArgs& a) { return elementwise(c, activateKernel, a, "activate"); }
Status add(Context& c, const ops::AddArgs& a) { return elementwise(c, addKernel, a, "add"); }
Status gate(Context& c, const ops::GateArgs& a) {
  if (a.rows * a.width > 0)
    launchKernel(c.stream, gateKernel, dim3(blocksFor(a.rows * a.width, kThreads)), dim3(kThreads), 0, a,
                 storedWidth(a.width, a.yElement));
  return launched(c, "gate");
}
Status rotate(Context& c, const ops::RotateArgs& a) {
  const int64_t pairs = a.batch * a.cells * 2 * a.heads * (a.headDim / 2);
  if (pairs > 0) launchKernel(c.stream, rotateKernel, dim3(blocksFor(pairs, kThreads)), dim3(kThreads), 0, a);
  return launched(c, "rotate");
}
Status turnPairs(Context& c, const ops::TurnPairsArgs& a) {
  const int64_t pairs = a.tokens * a.parts * a.heads * (a.headDim / 2);
  if (pairs > 0) launchKernel(c.stream, turnPairsKernel, dim3(blocksFor(pairs, kThreads)), dim3(kThreads), 0, a);
  return launched(c, "turn_pairs");
}
Status scaleColumns(Context& c, const ops::ScaleColumnsArgs& a) {
  return elementwise(c, scaleColumnsKernel, a, "scale_columns");
}

}  // namespace ved::cuda
