// Products with 16-bit operands and float32 sums: packing, rounding rows that come in float32, and the choice between
// cuBLAS (cublas.cu), the kernels for few rows (linear16_few.cu) and those for many (linear16_tiles.cu).
#include "ops/cuda/kernels/cublas.cuh"
#include "ops/cuda/kernels/linear.cuh"

namespace ved::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ int64_t globalThread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + static_cast<int64_t>(threadIdx.x);
}

__global__ void pack16Kernel(PackBlock a, int64_t depth, Element element) {
  const int64_t i = globalThread();
  if (i >= a.outCount * a.inCount) return;
  const int64_t n = i / a.inCount, k = i % a.inCount;  // neighbours write neighbouring inputs
  storeElement(a.weight.data, element, (a.outBegin + n) * depth + a.inBegin + k,
               a.source[n * a.outStride + k * a.inStride]);
}

__global__ void roundRowsKernel(ops::RoundArgs a) {
  const int64_t i = globalThread();
  if (i >= a.rows * a.width) return;
  storeElement(a.y, a.element, i / a.width * a.ldy + i % a.width, a.x[i / a.width * a.ldx + i % a.width]);
}

// Scratch memory for `bytes`; what recordings may name is kept until the end.
Status growScratch(Context& c, size_t bytes) {
  if (bytes <= c.scratchBytes) return kOk;
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
  return kOk;
}

// y = act(y), and numbers that became infinite in float16 are the largest ones again.
__global__ void finishKernel(LinearCall a) {
  const int64_t i = globalThread();
  if (i >= a.rows * a.weight.out) return;
  const int64_t at = i / a.weight.out * a.ldy + i % a.weight.out;
  const float v = loadElement(a.y, a.yElement, at);
  storeElement(a.y, a.yElement, at, activateOne(v, static_cast<Activation>(a.activation)));
}

// The product by cuBLAS, where it is there, is asked for and can do it.
bool linearCublas(Context& c, const LinearJob& job, const Operand& x) {
  if (!c.cublas || job.products == Products::Own) return false;
  const LinearCall& a = job.call;
  const ProductShape shape = {a.rows,     a.weight.in,          a.weight.out, static_cast<Activation>(a.activation),
                              a.yElement, a.residual != nullptr};
  const Route route = job.products == Products::Library ? libraryRoute(shape) : productRoute(shape);
  if (route == Route::Own || !c.cublas->multiply(c, job, x, route)) return false;
  if (route == Route::Finished)
    launchKernel(c.stream, finishKernel, dim3(blocksFor(a.rows * a.weight.out, kThreads)), dim3(kThreads), 0, a);
  return true;
}

}  // namespace

void roundRows(Context& c, const ops::RoundArgs& a) {
  if (a.rows * a.width > 0)
    launchKernel(c.stream, roundRowsKernel, dim3(blocksFor(a.rows * a.width, kThreads)), dim3(kThreads), 0, a);
}

Status linear16(Context& c, const LinearJob& job) {
  const LinearCall& a = job.call;
  Operand x = {static_cast<const uint16_t*>(a.x), a.ldx, a.weight.in, weightDepth(a.weight)};
  if (a.xElement == Element::Float32) {
    const Element element = operandElement(a.weight.type);
    x.ld = weightDepth(a.weight);
    const Status status = growScratch(c, static_cast<size_t>(a.rows * x.ld) * 2);
    if (status != kOk) return status;
    x.data = static_cast<const uint16_t*>(c.scratch);
    roundRows(c, {static_cast<const float*>(a.x), a.ldx, c.scratch, x.ld, a.rows, a.weight.in, element});
  }
  if (linearCublas(c, job, x)) return launched(c, "linear");
  // A block of the kernel for few rows reads all of x: with many outputs that is more than the weights.
  const bool wide = a.weight.out >= int64_t{64} * c.properties.multiProcessorCount;
  if (a.rows <= 16 || (a.rows <= kFewRows16 && !wide))
    linearFewRows(c, a, x);
  else
    linearTiles(c, a, x);
  return launched(c, "linear");
}

void pack16(Context& c, const PackBlock& a) {
  launchKernel(c.stream, pack16Kernel, dim3(blocksFor(a.outCount * a.inCount, kThreads)), dim3(kThreads), 0, a,
               weightDepth(a.weight), operandElement(a.weight.type));
}

}  // namespace ved::cuda
