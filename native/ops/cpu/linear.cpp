#include <algorithm>

#include "ops/cpu/blocks.h"
#include "ops/cpu/cpu_backend.h"

namespace ved::ops::cpu {

namespace {

constexpr int64_t kPackedBlockBytes = 448 * 1024;  // packed rows that stay in L2 while panels stream past
constexpr int64_t kWorthWaking = 1 << 17;          // multiply-adds: a few microseconds of one core

// How one linear op is cut: rows into tiles of at most MR, tiles into blocks that fit L2, panels into groups;
// a task is one (block, group).
struct Cut {
  int64_t rows, parts;  // packed rows per row: 2 with its rest
  int64_t elements;     // elements of 4 bytes of a row, all its parts
  int64_t step;         // tiles begin at multiples of so many rows
  int64_t tiles, tilesPerBlock, blocks, groups;

  int64_t firstRow(int64_t tile) const { return std::min(rows, ceilDiv(rows, step) * tile / tiles * step); }
  // Tiles are padded: packRows stores whole vectors.
  int64_t packedOffset(int64_t tile) const { return firstRow(tile) * elements + tile * kPackSlack; }
  int64_t packedElements() const { return rows * elements + tiles * kPackSlack; }
};

Cut cutOf(const CpuWeight& weight, int64_t rows, int threads) {
  const GemmKernels& gemm = weight.gemm();
  const int64_t parts = weight.type == ComputeType::Int8Fine ? 2 : 1;
  const int64_t step = std::max<int64_t>(1, gemm.rowStep / parts);
  Cut c{rows, parts, parts * gemm.elements(weight.in), step, ceilDiv(rows, gemm.tileRows / parts), 0, 0, 0};
  const int64_t tileBytes = std::max<int64_t>(1, c.elements * ceilDiv(rows, c.tiles) * 4);
  c.tilesPerBlock = std::max<int64_t>(4, kPackedBlockBytes / tileBytes);
  c.blocks = ceilDiv(c.tiles, c.tilesPerBlock);
  c.tilesPerBlock = ceilDiv(c.tiles, c.blocks);
  c.blocks = ceilDiv(c.tiles, c.tilesPerBlock);
  const bool alone = threads == 1 || rows * weight.units() * weight.out < kWorthWaking;
  c.groups = alone ? 1 : std::min(weight.panelCount(), std::max<int64_t>(1, ceilDiv(8 * threads, c.blocks)));
  return c;
}

void prefetchTile(const float* y, int64_t ldy, int64_t rows, int64_t columns) {
#if defined(__GNUC__)
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t n = 0; n < columns; n += 16) __builtin_prefetch(y + i * ldy + n, 1, 3);
#else
  static_cast<void>(y), static_cast<void>(ldy), static_cast<void>(rows), static_cast<void>(columns);
#endif
}

// What a matrix unit keeps in the calling thread, for the length of a task.
class ThreadState {
 public:
  explicit ThreadState(const GemmKernels& gemm) : gemm_(gemm) {}
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;
  ~ThreadState() {
    if (rows_) gemm_.release();
  }
  void configure(int64_t rows) {
    if (!gemm_.configure || rows == rows_) return;
    gemm_.configure(rows_ = rows);
  }

 private:
  const GemmKernels& gemm_;
  int64_t rows_ = 0;  // that it is set for
};

struct Task {
  const KernelTable& kernels;
  const CpuWeight& weight;
  const LinearArgs& args;
  const Cut& cut;
  const float* packed;    // elements of 4 bytes
  const float* rowScale;  // int8, else nullptr

  void tile(ThreadState& state, int64_t p, int64_t t, const float* prefetch, int64_t prefetchLines) const {
    alignas(64) float out[kMaxTileRows * kMaxPanelWidth];
    const int64_t row = cut.firstRow(t), rows = cut.firstRow(t + 1) - row;
    const int64_t column = p * kernels.panelWidth;
    EpilogueArgs e{out,
                   rows,
                   std::min<int64_t>(kernels.panelWidth, weight.out - column),
                   args.useBias ? weight.bias() + column : nullptr,
                   args.residual ? args.residual + row * args.ldr + column : nullptr,
                   args.ldr,
                   args.y + row * args.ldy + column,
                   args.ldy,
                   rowScale ? rowScale + cut.parts * row : nullptr,
                   rowScale ? weight.scale() + column : nullptr,
                   rowScale ? weight.offset() + column : nullptr,
                   cut.parts == 2};
    prefetchTile(e.y, e.ldy, rows, e.columns);  // 5 % of an encoder layer: stores would wait for their lines
    const GemmKernels& gemm = weight.gemm();
    const PanelKernel multiply =
        2 * e.columns <= kernels.panelWidth ? gemm.half[cut.parts * rows] : gemm.panel[cut.parts * rows];
    state.configure(cut.parts * rows);
    multiply(packed + cut.packedOffset(t), weight.panel(p), weight.units(), out, kernels.panelWidth, prefetch,
             prefetchLines);
    kernels.epilogue(e, args.activation);
  }

  // Every panel is read once from memory and used by all tiles of the block, which fetch shares of the next panel.
  void run(int64_t index) const {
    const int64_t block = index / cut.groups, group = index % cut.groups;
    const int64_t firstTile = block * cut.tilesPerBlock, lastTile = std::min(cut.tiles, firstTile + cut.tilesPerBlock);
    const int64_t firstPanel = weight.panelCount() * group / cut.groups;
    const int64_t lastPanel = weight.panelCount() * (group + 1) / cut.groups;
    const int64_t lines = ceilDiv(weight.panelUnits(), 16 * (lastTile - firstTile));
    const bool alone = lastTile - firstTile == 1;
    ThreadState state(weight.gemm());
    for (int64_t p = firstPanel; p < lastPanel; ++p)
      for (int64_t t = firstTile; t < lastTile; ++t) {
        const bool more = p + 1 < weight.panelCount();
        const float* next = weight.panel(more ? p + 1 : p) + (t - firstTile) * lines * 16;
        tile(state, p, t, alone ? nullptr : next, more ? lines : 0);
      }
  }
};

// The rows of a tile followed by their rests: [2 * rows, k].
void splitRows(const KernelTable& kernels, const float* x, int64_t ldx, int64_t rows, int64_t k, float* out) {
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(x + i * ldx, k, out + i * k);
    kernels.restOfRow(x + i * ldx, k, out + (rows + i) * k);
  }
}

}  // namespace

std::unique_ptr<LinearWeight> CpuBackend::makeLinear(int64_t in, int64_t out, bool hasBias, ComputeType type) {
  return std::make_unique<CpuWeight>(*kernels_, weights_, in, out, hasBias, type);
}

const float* CpuBackend::biasOf(const LinearWeight& weight) const {
  return static_cast<const CpuWeight&>(weight).bias();
}

void CpuBackend::linear(const LinearArgs& a) {
  const auto& weight = static_cast<const CpuWeight&>(*a.weight);
  if (a.rows <= 0 || weight.out <= 0) return;
  const Cut cut = cutOf(weight, a.rows, threads());
  float* packed = packed_.atLeast(static_cast<size_t>(cut.packedElements()));
  float* rowScale =
      hasInt8Weights(weight.type) ? rowScale_.atLeast(static_cast<size_t>(cut.parts * a.rows + kPackSlack)) : nullptr;
  auto pack = [&](int64_t t, int worker) {
    const int64_t row = cut.firstRow(t), rows = cut.firstRow(t + 1) - row;
    const float* x = a.x + row * a.ldx;
    int64_t ldx = a.ldx;
    if (cut.parts == 2) {
      float* split = scratch_[static_cast<size_t>(worker)].atLeast(static_cast<size_t>(2 * rows * weight.in));
      splitRows(*kernels_, x, ldx, rows, weight.in, split);
      x = split, ldx = weight.in;
    }
    weight.gemm().packOperand(x, ldx, cut.parts * rows, weight.in, packed + cut.packedOffset(t),
                              rowScale ? rowScale + cut.parts * row : nullptr);
  };
  if (cut.groups == 1 && cut.blocks == 1) {
    for (int64_t t = 0; t < cut.tiles; ++t) pack(t, 0);
  } else {
    pool_.parallelFor(cut.tiles, pack);
  }
  const Task task{*kernels_, weight, a, cut, packed, rowScale};
  pool_.parallelFor(cut.blocks * cut.groups, [&](int64_t index, int) { task.run(index); });
}

}  // namespace ved::ops::cpu
