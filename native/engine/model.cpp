#include "engine/model.h"

#include <algorithm>

#include "core/error.h"

namespace ved::engine {
namespace {

constexpr size_t kPlanLimit = 32;  // (entry, bucket) pairs kept
constexpr size_t kGridLimit = 4;   // patch grids whose tables are kept
constexpr size_t kHostImages = 8;  // per encoder run on the host: new requests never wait longer than that

std::unique_ptr<ops::Backend> makeBackend(const LoadOptions& options) {
  if (options.backend == "reference") return ops::makeReferenceBackend();
  if (options.backend == "cpu" && options.type == ComputeType::Float16)
    throw Error(ErrorKind::Unsupported, "UNSUPPORTED_DTYPE",
                "expected float32, bfloat16 or int8 on the CPU, got float16");
  if (options.backend == "cpu") return ops::makeCpuBackend(options.isa, options.threads);
  if (options.backend == "cuda") return ops::makeCudaBackend(options.device);
  throw Error(ErrorKind::Unsupported, "UNKNOWN_BACKEND",
              "expected backend cpu, reference or cuda, got " + options.backend);
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
    : Model(std::move(spec), table, options, keepGoing, makeBackend(options)) {}

Model::Model(spec::ModelSpec spec, const TensorTable& table, const LoadOptions& options,
             const std::function<bool()>& keepGoing, std::unique_ptr<ops::Backend> backend)
    : spec_(std::move(spec)),
      backend_(std::move(backend)),
      beside_(backend_->beside()),
      weights_(plan::loadWeights(spec_, table, *backend_, options.type, options.fuse && backend_->fusesEpilogues(),
                                 keepGoing)),
      encode_(plan::lowerEncoder(spec_.encoder, weights_)),
      cross_(plan::lowerCross(spec_, weights_)),
      decode_(plan::lowerDecoder(spec_.decoder, weights_)),
      head_(plan::lowerHead(spec_.decoder, weights_)),
      runner_(*backend_, spec_, weights_),
      besideRunner_(beside_ ? std::make_unique<plan::Runner>(*beside_, spec_, weights_) : nullptr) {
  if (!options.fuse || !backend_->fusesEpilogues()) return;
  const Element operands = backend_->storesOperands(options.type);
  for (plan::Program* program : {&encode_, &cross_, &decode_, &head_}) {
    plan::fuse(*program);
    if (operands != Element::Float32) plan::storeOperands(*program, operands);
  }
}

std::vector<plan::Grid> Model::grids(int64_t height, int64_t width) const {
  const spec::PatchEmbedding& e = spec_.encoder.embedding;
  const auto* overlap = std::get_if<spec::OverlappingPatches>(&e.tiling);
  const bool pad = !overlap && std::get<spec::Remainder>(e.tiling) == spec::Remainder::Pad;
  const auto patches = [&](int64_t pixels, int64_t step) { return (pixels + (pad ? step - 1 : 0)) / step; };
  std::vector<plan::Grid> grids{{patches(height, overlap ? overlap->strideHeight : e.patchHeight),
                                 patches(width, overlap ? overlap->strideWidth : e.patchWidth)}};
  while (grids.size() < spec_.encoder.stages.size()) {
    const plan::Grid& last = grids.back();
    if (const auto& entry = spec_.encoder.stages[grids.size()].entry)
      grids.push_back({last.height / entry->poolHeight, last.width / entry->poolWidth});
    else
      grids.push_back({(last.height + 1) / 2, (last.width + 1) / 2});
  }
  return grids;
}

plan::TokenLayout Model::layout(const plan::Grid& grid) const {
  const int64_t width = spec_.encoder.stages.front().width;
  const auto count = [&](const std::vector<float>& tokens) { return static_cast<int64_t>(tokens.size()) / width; };
  return {count(weights_.prefixTokens), grid.height, grid.width, count(weights_.suffixTokens)};
}

int64_t Model::encoderTokens(int64_t height, int64_t width) const {
  const std::vector<plan::Grid> all = grids(height, width);
  return all.size() == 1 ? layout(all.front()).tokens() : all.back().cells();
}

plan::RowCounts Model::encoderRows(const std::vector<plan::Grid>& grids) const {
  plan::RowCounts rows = {layout(grids.front()).tokens(), grids.front().cells()};
  for (size_t stage = 1; stage < grids.size(); ++stage) rows.push_back(grids[stage].cells());
  return rows;
}

size_t Model::imagesPerRun(int64_t height, int64_t width) {
  if (backend_->multiprocessors() == 0) return kHostImages;
  if (runSize_.height == height && runSize_.width == width) return runSize_.images;
  const auto images = plan::imagesPerRun(encoderProducts(height, width), backend_->multiprocessors());
  runSize_ = {height, width, static_cast<size_t>(images)};
  return runSize_.images;
}

std::vector<plan::ImageProduct> Model::encoderProducts(int64_t height, int64_t width) const {
  const plan::RowCounts rows = encoderRows(grids(height, width));
  std::vector<plan::ImageProduct> products;
  for (const plan::Op& op : encode_.ops)
    if (op.kind == plan::OpKind::Linear)
      products.push_back(
          {rows[static_cast<size_t>(encode_.values[static_cast<size_t>(op.out)].rows)], op.weight->in, op.weight->out});
  return products;
}

int64_t Model::stepsBeside(int64_t height, int64_t width, size_t images, size_t decoded) {
  double bytes = 0;
  for (const plan::Program* program : {&decode_, &head_})
    for (const plan::Op& op : program->ops)
      if (op.kind == plan::OpKind::Linear) bytes += static_cast<double>(op.weight->bytes());
  double cached = 0;  // of one token of an image
  for (const int64_t inner : crossWidths())
    cached += static_cast<double>(2 * inner * ops::cacheElementBytes(cacheType()));
  bytes += cached * static_cast<double>(encoderTokens(height, width)) * static_cast<double>(decoded);
  return plan::stepsBeside(encoderProducts(height, width), static_cast<int64_t>(images), bytes,
                           weights_.type != ComputeType::Float32);
}

const plan::Program& Model::placed(const plan::Program& base, const plan::RowCounts& rows) {
  const auto found =
      std::find_if(plans_.begin(), plans_.end(), [&](const Plan& p) { return p.base == &base && p.rows == rows; });
  if (found != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, found);
    return plans_.front().program;
  }
  plans_.push_front({&base, rows, base});
  plan::place(plans_.front().program, rows);
  plans_.front().program.serial = ++serial_;
  if (plans_.size() > kPlanLimit) plans_.pop_back();
  return plans_.front().program;
}

void Model::run(const plan::Program& base, const plan::RowCounts& rows, const plan::Bindings& bindings, Order order) {
  const plan::Program& program = placed(base, rows);
  plan::Runner& runner = order == Order::Beside && besideRunner_ ? *besideRunner_ : runner_;
  trace_.run(base.name.c_str(), bindings.tokens, backend_->name(), backend_->threads(),
             [&] { runner.run(program, bindings); });
}

void Model::forgetTables(const GridTables& tables) {
  for (ops::Backend* backend : {backend_.get(), beside_.get()}) {
    if (!backend) continue;
    backend->forget(tables.positions.data());
    backend->forget(tables.angles.cosines.data());
    backend->forget(tables.angles.sines.data());
    for (const std::vector<float>& positions : tables.layerPositions) backend->forget(positions.data());
    for (const plan::BiasTable& bias : tables.biases) {
      backend->forget(bias.table.data());
      backend->forget(bias.classes.data());
    }
  }
}

const Model::GridTables& Model::tablesFor(const plan::Grid& grid) {
  for (const GridTables& known : tables_)
    if (known.grid.height == grid.height && known.grid.width == grid.width) return known;
  GridTables tables{grid, {}, {}, {}, {}};
  const spec::EncoderSpec& encoder = spec_.encoder;
  if (const auto* rotary = std::get_if<spec::RotaryPositions>(&encoder.embedding.positions))
    tables.angles =
        plan::rotaryAngles(*rotary, encoder.stages.front().layers.front().attention.headDim, grid.height, grid.width);
  const int64_t width = encoder.stages.front().width;
  const plan::TokenLayout tokens = layout(grid);
  if (const auto* positions = std::get_if<spec::GridPositions>(&encoder.embedding.positions))
    tables.positions =
        plan::orderRows(plan::interpolatePositions(weights_.encoderPositions.data(), *positions, width, tokens),
                        plan::cellOrder(encoder.embedding), grid.height, grid.width);
  if (const auto* waves = std::get_if<spec::WavePositions>(&encoder.embedding.positions))
    tables.positions = plan::orderRows(plan::wavePositions(*waves, width, tokens), plan::cellOrder(encoder.embedding),
                                       grid.height, grid.width);
  if (const auto& positions = encoder.layerPositions)
    for (size_t layer = 1; layer < weights_.encoderLayers.size(); ++layer) {
      const int64_t begin = static_cast<int64_t>(layer - 1) * plan::positionRows(*positions) * width;
      tables.layerPositions.push_back(
          plan::interpolatePositions(weights_.layerPositions.data() + begin, *positions, width, tokens));
    }
  size_t index = 0;
  for (const spec::EncoderStage& stage : encoder.stages)
    for (const spec::EncoderLayer& layer : stage.layers) {
      const plan::EncoderLayerWeights& weights = weights_.encoderLayers[index++];
      if (weights.gridBias.empty()) continue;
      tables.biases.push_back(plan::interpolateBias(weights.gridBias,
                                                    *std::get<spec::AllSpan>(layer.attention.span).bias,
                                                    layer.attention.heads, grid.height, grid.width));
    }
  tables_.push_front(std::move(tables));
  if (tables_.size() > kGridLimit) {
    forgetTables(tables_.back());
    tables_.pop_back();
  }
  return tables_.front();
}

void Model::encode(int64_t batch, int64_t height, int64_t width, float* states, plan::Bindings bindings, Order order) {
  bindings.grids = grids(height, width);
  const GridTables& tables = tablesFor(bindings.grids.front());
  bindings.batch = batch;
  bindings.rows = encoderRows(bindings.grids);
  for (int64_t& rows : bindings.rows) rows *= batch;
  bindings.tokens = bindings.rows.front();
  bindings.height = height;
  bindings.width = width;
  bindings.positions = tables.positions.empty() ? nullptr : tables.positions.data();
  bindings.angles = tables.angles.cosines.empty() ? nullptr : &tables.angles;
  bindings.layerPositions = tables.layerPositions.empty() ? nullptr : &tables.layerPositions;
  bindings.biases = tables.biases.empty() ? nullptr : &tables.biases;
  bindings.output = states;
  run(encode_, bindings.rows, bindings, order);
}

void Model::fillCross(const float* states, const plan::Bindings& bindings, Order order) {
  plan::Bindings b = bindings;
  b.input = states;
  run(cross_, {bucket(b.tokens)}, b, order);
}

void Model::decode(float* hidden, plan::Bindings bindings) {
  bindings.output = hidden;
  if (spec_.decoder.streams) bindStreams(bindings);
  const int64_t blocks = 1 + bindings.streams;
  if (blocks > 1) bindings.rows = {blocks * bindings.tokens};
  run(decode_, {blocks * bucket(bindings.tokens)}, bindings);
}

// Where every sequence gets one token, the first stream needs none of the others.
void Model::bindStreams(plan::Bindings& b) {
  firstOfRun_.assign(static_cast<size_t>(b.tokens), 0);
  lengthOfRun_.assign(static_cast<size_t>(b.tokens), 1);
  bool single = !b.crossProbabilities;
  for (int64_t first = 0, end; first < b.tokens; first = end) {
    for (end = first + 1; end < b.tokens && b.row[end] == b.row[first];) ++end;
    std::fill(firstOfRun_.begin() + first, firstOfRun_.begin() + end, static_cast<int32_t>(first));
    std::fill(lengthOfRun_.begin() + first, lengthOfRun_.begin() + end, static_cast<int32_t>(end - first));
    single &= end == first + 1;
  }
  b.streams = single ? 1 : spec_.decoder.streams->count;
  b.firstOfRun = firstOfRun_.data();
  b.lengthOfRun = lengthOfRun_.data();
}

void Model::step(const plan::Bindings& bindings, int64_t perRun, float* logits, std::span<const uint64_t> what,
                 const std::function<void()>& then) {
  const int64_t streams = spec_.decoder.streams ? 1 : 0, width = spec_.decoder.hiddenSize;
  stepRuns_.clear();
  for (int64_t begin = 0; begin < bindings.tokens; begin += perRun) {
    plan::Bindings b = plan::tokensFrom(bindings, begin, std::min(perRun, bindings.tokens - begin));
    b.output = bindings.output + begin * width;
    b.streams = streams;
    if (streams) b.rows = {(1 + streams) * b.tokens};
    const plan::Program& program = placed(decode_, {(1 + streams) * bucket(b.tokens)});
    stepRuns_.push_back({&program, std::move(b)});
  }
  plan::Bindings head;
  head.tokens = bindings.tokens;
  head.input = bindings.output;
  head.output = logits;
  stepRuns_.push_back({&placed(head_, {bucket(bindings.tokens)}), head});
  trace_.run("step", bindings.tokens, backend_->name(), backend_->threads(),
             [&] { runner_.runResident(stepRuns_, what, then); });
}

void Model::head(const float* hidden, int64_t rows, float* logits) {
  plan::Bindings bindings;
  bindings.tokens = rows;
  bindings.input = hidden;
  bindings.output = logits;
  run(head_, {bucket(rows)}, bindings);
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
    widths.push_back(std::visit([](const auto& a) { return a.heads * a.headDim; }, layer.selfAttention));
  return widths;
}

std::vector<int64_t> Model::crossWidths() const {
  std::vector<int64_t> widths;
  for (const auto& layer : spec_.decoder.layers)
    widths.push_back(layer.crossAttention.heads * layer.crossAttention.headDim);
  for (const auto& layer : spec_.decoder.layers)
    if (const auto* image = std::get_if<spec::CrossAttention>(&layer.selfAttention))
      widths.push_back(image->heads * image->headDim);
  return widths;
}

const spec::PositionIds& Model::positionSpec() const {
  return std::visit([](const auto& positions) -> const spec::PositionIds& { return positions.ids; },
                    spec_.decoder.embedding.positions);
}

ops::PositionRule Model::positionRule() const {
  if (const auto* sequential = std::get_if<spec::SequentialIds>(&positionSpec()))
    return {static_cast<int32_t>(sequential->offset), -1};
  const int32_t pad = std::get<spec::NonPadIds>(positionSpec()).padTokenId;
  return {pad + 1, pad};
}

void Model::positionIds(const int32_t* ids, int64_t count, int64_t past, int32_t* out) const {
  const spec::PositionIds& rule = positionSpec();
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
