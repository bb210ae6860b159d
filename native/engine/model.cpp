#include "engine/model.h"

#include <algorithm>

#include "core/error.h"

namespace ved::engine {
namespace {

constexpr size_t kPlanLimit = 32;  // (entry, bucket) pairs kept
constexpr size_t kGridLimit = 4;   // interpolated position tables kept

std::unique_ptr<ops::Backend> makeBackend(const LoadOptions& options) {
  if (options.backend == "reference") return ops::makeReferenceBackend();
  if (options.backend == "cpu") return ops::makeCpuBackend(options.isa, options.threads);
  throw Error(ErrorKind::Unsupported, "UNKNOWN_BACKEND", "expected backend cpu or reference, got " + options.backend);
}

// Plans are placed for row buckets, so that a handful serves every batch size.
int64_t bucket(int64_t rows) {
  int64_t size = 1;
  while (size < rows) size *= 2;
  return size;
}

}  // namespace

Model::Model(spec::ModelSpec spec, const TensorTable& table, const LoadOptions& options,
             const std::function<bool()>& keepGoing)
    : spec_(std::move(spec)),
      backend_(makeBackend(options)),
      weights_(plan::loadWeights(spec_, table, *backend_, keepGoing)),
      encode_(plan::lowerEncoder(spec_.encoder, weights_)),
      cross_(plan::lowerCross(spec_, weights_)),
      decode_(plan::lowerDecoder(spec_.decoder, weights_)),
      head_(plan::lowerHead(spec_.decoder, weights_)),
      runner_(*backend_, spec_, weights_) {
  if (!options.fuse || !backend_->fusesEpilogues()) return;
  for (plan::Program* program : {&encode_, &cross_, &decode_, &head_}) plan::fuse(*program);
}

int64_t Model::encoderTokens(int64_t height, int64_t width) const {
  const spec::PatchEmbedding& e = spec_.encoder.embedding;
  return static_cast<int64_t>(e.prefixTokens.size()) + (height / e.patchHeight) * (width / e.patchWidth);
}

const plan::Program& Model::placed(const plan::Program& base, int64_t tokens, int64_t patches) {
  const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const Plan& p) {
    return p.base == &base && p.tokens == tokens && p.patches == patches;
  });
  if (found != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, found);
    return plans_.front().program;
  }
  plans_.push_front({&base, tokens, patches, base});
  plan::place(plans_.front().program, tokens, patches);
  if (plans_.size() > kPlanLimit) plans_.pop_back();
  return plans_.front().program;
}

void Model::run(const plan::Program& base, int64_t tokens, int64_t patches, const plan::Bindings& bindings) {
  const plan::Program& program = placed(base, tokens, patches);
  trace_.run(base.name.c_str(), bindings.tokens, backend_->name(), backend_->threads(),
             [&] { runner_.run(program, bindings); });
}

const std::vector<float>& Model::positionsFor(int64_t gridHeight, int64_t gridWidth) {
  const spec::GridPositions& grid = spec_.encoder.embedding.positions;
  if (grid.gridHeight == gridHeight && grid.gridWidth == gridWidth) return weights_.encoderPositions;
  for (const Grid& known : grids_)
    if (known.height == gridHeight && known.width == gridWidth) return known.table;
  grids_.push_front(
      {gridHeight, gridWidth,
       plan::interpolatePositions(weights_.encoderPositions, grid, spec_.encoder.hiddenSize, gridHeight, gridWidth)});
  if (grids_.size() > kGridLimit) grids_.pop_back();
  return grids_.front().table;
}

void Model::encode(const float* pixels, int64_t batch, int64_t height, int64_t width, float* states,
                   plan::Bindings bindings) {
  const spec::PatchEmbedding& e = spec_.encoder.embedding;
  const int64_t gridHeight = height / e.patchHeight, gridWidth = width / e.patchWidth;
  bindings.batch = batch;
  bindings.tokens = batch * encoderTokens(height, width);
  bindings.height = height;
  bindings.width = width;
  bindings.pixels = pixels;
  bindings.positions = positionsFor(gridHeight, gridWidth).data();
  bindings.output = states;
  run(encode_, bindings.tokens, batch * gridHeight * gridWidth, bindings);
}

void Model::fillCross(const float* states, const plan::Bindings& bindings) {
  plan::Bindings b = bindings;
  b.input = states;
  run(cross_, bucket(b.tokens), 0, b);
}

void Model::decode(float* hidden, plan::Bindings bindings) {
  bindings.output = hidden;
  run(decode_, bucket(bindings.tokens), 0, bindings);
}

void Model::head(const float* hidden, int64_t rows, float* logits) {
  plan::Bindings bindings;
  bindings.tokens = rows;
  bindings.input = hidden;
  bindings.output = logits;
  run(head_, bucket(rows), 0, bindings);
}

std::string Model::dumpPlan(const std::string& entry) const {
  if (entry == "encode") return plan::dump(encode_);
  if (entry == "cross") return plan::dump(cross_);
  if (entry == "head") return plan::dump(head_);
  return plan::dump(decode_);
}

std::vector<int64_t> Model::selfWidths() const {
  std::vector<int64_t> widths;
  for (const auto& layer : spec_.decoder.layers)
    widths.push_back(layer.selfAttention.heads * layer.selfAttention.headDim);
  return widths;
}

std::vector<int64_t> Model::crossWidths() const {
  std::vector<int64_t> widths;
  for (const auto& layer : spec_.decoder.layers)
    widths.push_back(layer.crossAttention.heads * layer.crossAttention.headDim);
  return widths;
}

void Model::positionIds(const int32_t* ids, int64_t count, int64_t past, int32_t* out) const {
  const spec::PositionIds& rule =
      std::visit([](const auto& positions) -> const spec::PositionIds& { return positions.ids; },
                 spec_.decoder.embedding.positions);
  if (const auto* sequential = std::get_if<spec::SequentialIds>(&rule)) {
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<int32_t>(past + i + sequential->offset);
    return;
  }
  // Pads take the pad row and do not count within the chunk that is fed; cached positions all count.
  const int32_t pad = std::get<spec::NonPadIds>(rule).padTokenId;
  int64_t seen = past;
  for (int64_t i = 0; i < count; ++i) out[i] = ids[i] == pad ? pad : static_cast<int32_t>(++seen + pad);
}

}  // namespace ved::engine
