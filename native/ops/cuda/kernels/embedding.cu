// Pixels and token ids to rows of the residual stream; writing keys and values into a cache.
#include "ops/cuda/kernels/context.cuh"

namespace ved::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ int64_t globalThread() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + static_cast<int64_t>(threadIdx.x);
}

__global__ void patchesKernel(ops::PatchesArgs a, int64_t ld) {
  const int64_t patch = a.channels * a.patchH * a.patchW;
  const int64_t i = globalThread();
  if (i >= a.batch * a.gridH * a.gridW * patch) return;
  const int64_t row = i / patch, inside = i % patch;
  const int64_t b = row / (a.gridH * a.gridW), c = inside / (a.patchH * a.patchW);
  const int64_t cell = ops::cellOfToken(a.order, a.gridH, a.gridW, row % (a.gridH * a.gridW));
  const int64_t y = cell / a.gridW * a.strideH - a.padH + inside / a.patchW % a.patchH;
  const int64_t x = cell % a.gridW * a.strideW - a.padW + inside % a.patchW;
  const bool pixel = y >= 0 && y < a.height && x >= 0 && x < a.width;
  storeElement(a.patches, a.element, row * ld + inside,
               pixel ? a.pixels[((b * a.channels + c) * a.height + y) * a.width + x] : 0.0f);
}

__global__ void poolTokensKernel(ops::PoolTokensArgs a) {
  const int64_t out = a.tokens / a.groups * a.width, i = globalThread();
  if (i >= a.batch * out) return;
  const float* x = a.x + i / out * a.tokens * a.width + i % out;
  float largest = x[0];
  for (int64_t g = 1; g < a.groups; ++g) {
    const float value = x[g * out];
    if (value > largest || value != value) largest = value;
  }
  a.y[i] = largest;
}

__global__ void mergeCellsKernel(ops::MergeCellsArgs a) {
  const int64_t outH = (a.height + 1) / 2, outW = (a.width + 1) / 2;
  const int64_t i = globalThread();
  if (i >= a.batch * outH * outW * 4 * a.channels) return;
  const int64_t c = i % a.channels, quarter = i / a.channels % 4, cell = i / a.channels / 4;
  const int64_t b = cell / (outH * outW);
  const int64_t y = cell / outW % outH * 2 + quarter % 2, x = cell % outW * 2 + quarter / 2;
  const bool inside = y < a.height && x < a.width;
  a.out[i] = inside ? a.in[((b * a.height + y) * a.width + x) * a.channels + c] : 0.0f;
}

__global__ void assembleTokensKernel(ops::AssembleTokensArgs a) {
  const int64_t tokens = a.tokens();
  const int64_t i = globalThread();
  if (i >= a.batch * tokens * a.width) return;
  const int64_t d = i % a.width, token = i / a.width % tokens, b = i / a.width / tokens;
  const float value = a.source(b, token)[d];
  a.out[i] = a.positions ? value + a.positions[token * a.width + d] : value;
}

__global__ void embedTokensKernel(ops::EmbedTokensArgs a) {
  const int64_t i = globalThread();
  if (i >= a.tokens * a.width) return;
  const int64_t t = i / a.width, d = i % a.width;
  const int64_t id = a.ids ? a.ids[t] : 0, row = a.positionIds ? a.positionIds[t] : 0;
  const float position = a.positions ? a.positions[row * a.width + d] : 0.0f;
  a.out[i] = fmaf(a.scale, a.table[id * a.width + d], position);
}

__global__ void writeCacheKernel(ops::WriteCacheArgs a) {
  const int64_t width = a.heads * a.headDim;
  const int64_t i = globalThread();
  if (i >= a.tokens * width) return;
  const int64_t t = i / width, inside = i % width, h = inside / a.headDim, d = inside % a.headDim;
  const int64_t to = ((a.slotOfToken[t] * a.heads + h) * a.capacity + a.positionOfToken[t]) * a.headDim + d;
  storeElement(a.keys, a.cacheType, to, a.k[t * a.ldk + inside]);
  storeElement(a.values, a.cacheType, to, a.v[t * a.ldv + inside]);
}

template <class... Args>
Status overElements(Context& c, void (*kernel)(Args...), int64_t count, const char* what, Args... args) {
  if (count > 0) launchKernel(c.stream, kernel, dim3(blocksFor(count, kThreads)), dim3(kThreads), 0, args...);
  return launched(c, what);
}

}  // namespace

Status patches(Context& c, const ops::PatchesArgs& a) {
  const int64_t patch = a.channels * a.patchH * a.patchW;
  return overElements(c, patchesKernel, a.batch * a.gridH * a.gridW * patch, "patches", a,
                      storedWidth(patch, a.element));
}
Status poolTokens(Context& c, const ops::PoolTokensArgs& a) {
  return overElements(c, poolTokensKernel, a.batch * (a.tokens / a.groups) * a.width, "pool_tokens", a);
}
Status mergeCells(Context& c, const ops::MergeCellsArgs& a) {
  const int64_t cells = a.batch * ((a.height + 1) / 2) * ((a.width + 1) / 2);
  return overElements(c, mergeCellsKernel, cells * 4 * a.channels, "merge_cells", a);
}
Status assembleTokens(Context& c, const ops::AssembleTokensArgs& a) {
  return overElements(c, assembleTokensKernel, a.batch * a.tokens() * a.width, "assemble_tokens", a);
}
Status embedTokens(Context& c, const ops::EmbedTokensArgs& a) {
  return overElements(c, embedTokensKernel, a.tokens * a.width, "embed_tokens", a);
}
Status writeCache(Context& c, const ops::WriteCacheArgs& a) {
  return overElements(c, writeCacheKernel, a.tokens * a.heads * a.headDim, "write_cache", a);
}

}  // namespace ved::cuda
