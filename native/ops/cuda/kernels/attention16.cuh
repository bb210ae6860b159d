// Attention over a set of tokens on tensor cores: a block takes 64 queries of one head, 16 per warp, and walks over the
// keys in tiles of 64, two tiles in flight. Queries, keys, values and softmax weights are 16-bit numbers; scores,
// softmax statistics and sums are float32 and stay in registers. What the tokens are is a View's business:
//   kWords, prepare(item, token, head, table)   numbers per token that scores need, in shared memory: table[w * tokens
//   + token] int64_t row(item, token, table) const       row of q, k and v; -1 for a token that is not there (padding)
//   float score(head, query, key, dot, table, tokens) const
#pragma once
#include "ops/cuda/kernels/attention.cuh"
#include "ops/cuda/kernels/matrix.cuh"

namespace ved::cuda {

constexpr int kTileQueries = 64, kTileKeys = 64, kAttention16Threads = 128;

// q, k and v of all heads side by side, and where the result goes.
struct AttentionRows {
  const void* qkv;
  Element element;
  int64_t ld;            // of qkv
  const float* padding;  // q, k and v of tokens that are not there, or nullptr
  void* out;
  Element outElement;
  int64_t ldo;
  int64_t width;  // heads * headDim
};

inline AttentionRows attentionRows(const float* qkv, Element element, const float* padding, float* out,
                                   Element outElement, int64_t width) {
  return {qkv, element,    storedWidth(3 * width, element), padding,
          out, outElement, storedWidth(width, outElement),  width};
}

// One number of a token's row; `row` -1 is padding.
__device__ __forceinline__ float loadFeature(const AttentionRows& rows, int64_t row, int64_t column) {
  return row < 0 ? rows.padding[column] : loadElement(rows.qkv, rows.element, row * rows.ld + column);
}

// Eight numbers of a row to 16 bytes of shared memory, zeros behind `count`.
template <class T>
__device__ __forceinline__ void loadChunk(unsigned char* to, const AttentionRows& rows, int64_t row, int64_t column,
                                          int count, bool whole) {
  if (whole && row >= 0) {
    const uint16_t* from = static_cast<const uint16_t*>(rows.qkv) + row * rows.ld + column;
    copyAsync16(to, count > 0 ? from : static_cast<const uint16_t*>(rows.qkv), count > 0 ? 16 : 0);
    return;
  }
  uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i)
    words[i] = pack2<T>(2 * i < count ? loadFeature(rows, row, column + 2 * i) : 0.0f,
                        2 * i + 1 < count ? loadFeature(rows, row, column + 2 * i + 1) : 0.0f);
  *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
}

__device__ __forceinline__ float quadMax(float v) {
  v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, 1));
  return fmaxf(v, __shfl_xor_sync(kAllLanes, v, 2));
}
__device__ __forceinline__ float quadSum(float v) {
  v += __shfl_xor_sync(kAllLanes, v, 1);
  return v + __shfl_xor_sync(kAllLanes, v, 2);
}
__device__ __forceinline__ float exponential(float x) { return exp2f(x * 1.44269504088896340736f); }

template <int kDim>
constexpr size_t kAttention16Tiles = size_t{2} * 2 * kTileKeys * (kDim + 8) * 2;

// kDim: the head's dimensions, rounded up to what fragments come in; what is added is zero.
template <class T, int kDim, class View>
__global__ void __launch_bounds__(kAttention16Threads, kDim <= 64 ? 3 : 2)
    attention16Kernel(View view, AttentionRows rows, AttentionShape shape) {
  constexpr int kPitch = (kDim + 8) * 2;  // bytes: an odd number of chunks, so that eight rows lie on different banks
  constexpr int kChunks = kDim / 8, kTileBytes = kTileKeys * kPitch;
  unsigned char* shared = sharedMemory<unsigned char>();  // [2][keys, values][kTileKeys][kPitch], then the table
  int32_t* table = reinterpret_cast<int32_t*>(shared + kAttention16Tiles<kDim>);
  const int tokens = static_cast<int>(shape.tokens), dim = static_cast<int>(shape.headDim);
  const int queryTiles = (tokens + kTileQueries - 1) / kTileQueries, tiles = (tokens + kTileKeys - 1) / kTileKeys;
  const int64_t item = blockIdx.x / queryTiles, head = blockIdx.y;
  const int lane = laneIndex(), group = lane / 4, quad = lane % 4;
  const int query0 = static_cast<int>(blockIdx.x % queryTiles) * kTileQueries + warpIndex() * 16 + group;
  const bool whole = rows.element != Element::Float32 && dim % 8 == 0;

  if (View::kWords > 0) {
    for (int token = static_cast<int>(threadIdx.x); token < tokens; token += kAttention16Threads)
      view.prepare(item, token, tokens, head, rows, dim, table);
    __syncthreads();
  }
  const auto load = [&](int tile) {
    if (tile < tiles) {
      unsigned char* stage = shared + tile % 2 * 2 * kTileBytes;
      for (int i = static_cast<int>(threadIdx.x); i < 2 * kTileKeys * kChunks; i += kAttention16Threads) {
        const int chunk = i % kChunks, key = i / kChunks % kTileKeys, part = i / kChunks / kTileKeys;
        const int token = tile * kTileKeys + key, left = dim - chunk * 8;
        const int count = token >= tokens || left < 0 ? 0 : left < 8 ? left : 8;
        const int64_t row = token < tokens ? view.row(item, token, tokens, table) : 0;
        loadChunk<T>(stage + part * kTileBytes + key * kPitch + chunk * 16, rows, row,
                     (part + 1) * rows.width + head * dim + chunk * 8, count, whole);
      }
    }
    commitAsync();
  };
  load(0);

  uint32_t query[kDim / 16][4];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int token = query0 + r * 8;
    const int64_t row = token < tokens ? view.row(item, token, tokens, table) : 0;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int d = k * 16 + h * 8 + quad * 2;
        const float low = token < tokens && d < dim ? loadFeature(rows, row, head * dim + d) : 0.0f;
        const float high = token < tokens && d + 1 < dim ? loadFeature(rows, row, head * dim + d + 1) : 0.0f;
        query[k][2 * h + r] = pack2<T>(low, high);
      }
  }

  float out[kDim / 8][4] = {}, max[2] = {kMinusInfinity, kMinusInfinity}, sum[2] = {};
  for (int tile = 0; tile < tiles; ++tile) {
    load(tile + 1);
    waitAsync<1>();
    __syncthreads();
    const unsigned char* keys = shared + tile % 2 * 2 * kTileBytes;
    const unsigned char* values = keys + kTileBytes;
    float score[kTileKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k)
#pragma unroll
      for (int j = 0; j < kTileKeys / 16; ++j) {  // sixteen keys: two fragments of eight, both depths
        uint32_t fragment[4];
        loadMatrix4(fragment, keys + (j * 16 + lane % 8 + lane / 16 * 8) * kPitch + (k * 2 + lane / 8 % 2) * 16);
        multiply<T>(score[2 * j], query[k], fragment);
        multiply<T>(score[2 * j + 1], query[k], fragment + 2);
      }
    float top[2] = {max[0], max[1]};
#pragma unroll
    for (int j = 0; j < kTileKeys / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = tile * kTileKeys + j * 8 + quad * 2 + e % 2, token = query0 + e / 2 * 8;
        const bool real = key < tokens && token < tokens;
        score[j][e] = real ? view.score(head, token, key, score[j][e], table, tokens) : kMinusInfinity;
        top[e / 2] = fmaxf(top[e / 2], score[j][e]);
      }
    float shift[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      top[r] = quadMax(top[r]);
      shift[r] = top[r] == kMinusInfinity ? 0.0f : top[r];  // all scores so far may be -inf: nothing to scale then
      const float rescale = exponential(max[r] - shift[r]);
      max[r] = top[r];
      sum[r] *= rescale;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) out[d][2 * r] *= rescale, out[d][2 * r + 1] *= rescale;
    }
#pragma unroll
    for (int j = 0; j < kTileKeys / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        score[j][e] = exponential(score[j][e] - shift[e / 2]);
        sum[e / 2] += score[j][e];
      }
#pragma unroll
    for (int k = 0; k < kTileKeys / 16; ++k) {
      const uint32_t weights[4] = {
          pack2<T>(score[2 * k][0], score[2 * k][1]), pack2<T>(score[2 * k][2], score[2 * k][3]),
          pack2<T>(score[2 * k + 1][0], score[2 * k + 1][1]), pack2<T>(score[2 * k + 1][2], score[2 * k + 1][3])};
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {  // sixteen dimensions of sixteen keys
        uint32_t fragment[4];
        loadMatrix4Transposed(fragment, values + (k * 16 + lane % 16) * kPitch + (d * 2 + lane / 16) * 16);
        multiply<T>(out[2 * d], weights, fragment);
        multiply<T>(out[2 * d + 1], weights, fragment + 2);
      }
    }
    __syncthreads();  // the next round loads into what was read here
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int token = query0 + r * 8;
    const float total = quadSum(sum[r]), inverse = total == 0.0f ? 0.0f : 1.0f / total;
    const int64_t row = token < tokens ? view.row(item, token, tokens, table) : -1;
    if (row < 0) continue;
#pragma unroll
    for (int d = 0; d < kDim / 8; ++d)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int column = d * 8 + quad * 2 + e;
        if (column < dim)
          storeElement(rows.out, rows.outElement, row * rows.ldo + head * dim + column, out[d][2 * r + e] * inverse);
      }
  }
}

template <class T, int kDim, class View>
void launchAttention16(Context& c, const View& view, const AttentionRows& rows, const AttentionShape& shape) {
  const size_t shared = kAttention16Tiles<kDim> + static_cast<size_t>(View::kWords * shape.tokens) * sizeof(int32_t);
  if (shared > 48 * 1024)
    cudaFuncSetAttribute(attention16Kernel<T, kDim, View>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shared));
  const dim3 grid(static_cast<unsigned>(shape.items * ((shape.tokens + kTileQueries - 1) / kTileQueries)),
                  static_cast<unsigned>(shape.heads));
  launchKernel(c.stream, attention16Kernel<T, kDim, View>, grid, dim3(kAttention16Threads), shared, view, rows, shape);
}

// Place of a token in what relativeBias() subtracts: bias index = key's - query's + the index of no distance.
__device__ __forceinline__ int32_t biasPlace(const ops::RelativeBias& b, int token) {
  const int cell = token - static_cast<int>(b.prefix), columns = static_cast<int>(b.gridW);
  return cell < 0 ? -1 : cell / columns * (2 * columns - 1) + cell % columns;
}
__device__ __forceinline__ float biasOfPlaces(const ops::RelativeBias& b, int64_t head, int32_t query, int32_t key) {
  if (query < 0) return b.classes[3 * head + (key < 0 ? 2 : 0)];
  if (key < 0) return b.classes[3 * head + 1];
  const int32_t rows = static_cast<int32_t>(2 * b.gridH - 1), columns = static_cast<int32_t>(2 * b.gridW - 1);
  return b.table[head * rows * columns + key - query + (rows / 2) * columns + columns / 2];
}

}  // namespace ved::cuda
