#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/error.h"
#include "plan/program.h"

namespace ved::plan {

int64_t Runner::rows(const Program& program, int value, const Bindings& b) const {
  return b.rows.empty() ? b.tokens : b.rows[static_cast<size_t>(program.values[static_cast<size_t>(value)].rows)];
}

float* Runner::at(const Program& program, int value, const Bindings& b) {
  if (value == program.output) return b.output;
  // Programs never write their input: lowering gives every op result a buffer of its own.
  if (value == program.input) return const_cast<float*>(b.input);
  return arena_.data() + program.values[static_cast<size_t>(value)].offset;
}

void Runner::run(const Program& program, const Bindings& bindings) {
  arena_.reserve(static_cast<size_t>(program.arenaFloats));
  if (backend_.hostMemory()) return executeAll(program, bindings);
  Bindings b = bindings;
  stage(b);
  const bool plain = b.taps || b.crossProbabilities || b.masks;
  key_.clear();
  addKey(program, b);
  if (!plain && backend_.replay(key_)) return;
  executeAll(program, b);
  backend_.endRecording();
}

void Runner::runResident(std::span<const ResidentRun> runs, std::span<const uint64_t> what,
                         const std::function<void()>& then) {
  for (const ResidentRun& run : runs) arena_.reserve(static_cast<size_t>(run.program->arenaFloats));
  key_.assign(what.begin(), what.end());
  for (const ResidentRun& run : runs) addKey(*run.program, run.bindings);
  if (backend_.replay(key_)) return;
  for (const ResidentRun& run : runs) executeAll(*run.program, run.bindings);
  then();
  backend_.endRecording();
}

Bindings tokensFrom(const Bindings& bindings, int64_t first, int64_t count) {
  Bindings b = bindings;
  b.tokens = count;
  for (const int32_t** array : {&b.ids, &b.positionIds, &b.row, &b.slot, &b.position, &b.length, &b.crossSlot,
                                &b.crossLength, &b.firstOfRun, &b.lengthOfRun})
    if (*array) *array += first;
  return b;
}

// Every host array that an op reads.
void Runner::stage(Bindings& b) {
  const size_t tokens = static_cast<size_t>(b.tokens) * sizeof(int32_t);
  const size_t pixels = static_cast<size_t>(b.batch * spec_.encoder.embedding.channels * b.height * b.width);
  const float* none = nullptr;
  const size_t ancestry = b.ancestry ? static_cast<size_t>(b.ancestryRows * b.selfCache->capacity) : 0;
  const auto as = [](auto& pointer) { return reinterpret_cast<const void**>(&pointer); };
  ops::StagedArray arrays[] = {{as(b.pixelsInPlace ? none : b.pixels), pixels * sizeof(float)},
                               {as(b.ids), tokens},
                               {as(b.positionIds), tokens},
                               {as(b.row), tokens},
                               {as(b.slot), tokens},
                               {as(b.position), tokens},
                               {as(b.length), tokens},
                               {as(b.firstOfRun), tokens},
                               {as(b.lengthOfRun), tokens},
                               {as(b.ancestry), ancestry * sizeof(int32_t)},
                               {as(b.crossSlot), tokens},
                               {as(b.crossLength), tokens},
                               {as(b.crossPosition), tokens}};
  backend_.stage(arrays);
}

// A recording is good for runs in which everything the host decides is the same. Staged arrays keep their addresses
// only if they keep their sizes, hence those addresses are part of the key.
void Runner::addKey(const Program& program, const Bindings& b) {
  const auto address = [](const void* p) { return reinterpret_cast<uint64_t>(p); };
  const auto cache = [&](const CacheView* view, bool keys) {
    return view && !view->keys.empty() ? address(keys ? view->keys.front() : view->values.back()) : 0;
  };
  const uint64_t words[] = {program.serial,
                            static_cast<uint64_t>(b.tokens),
                            static_cast<uint64_t>(b.streams),
                            static_cast<uint64_t>(b.batch),
                            static_cast<uint64_t>(b.height),
                            static_cast<uint64_t>(b.width),
                            address(arena_.data()),
                            address(b.input),
                            address(b.output),
                            address(b.positions),
                            address(b.pixels),
                            address(b.ids),
                            address(b.positionIds),
                            address(b.row),
                            address(b.slot),
                            address(b.position),
                            address(b.length),
                            address(b.firstOfRun),
                            address(b.lengthOfRun),
                            address(b.ancestry),
                            address(b.crossSlot),
                            address(b.crossLength),
                            address(b.crossPosition),
                            cache(b.selfCache, true),
                            cache(b.selfCache, false),
                            cache(b.crossCache, true),
                            cache(b.crossCache, false),
                            static_cast<uint64_t>(b.selfCache ? b.selfCache->capacity : 0),
                            static_cast<uint64_t>(b.crossCache ? b.crossCache->capacity : 0)};
  key_.insert(key_.end(), std::begin(words), std::end(words));
}

void Runner::executeAll(const Program& program, const Bindings& b) {
  for (const Op& op : program.ops) {
    if (b.stop && b.stop->load(std::memory_order_relaxed))
      throw Error(ErrorKind::Internal, "ABORTED", "the run was stopped");
    execute(program, op, b);
  }
}

// Rotary positions leave one row of constants, which every token reads.
const int32_t* Runner::positionRows(const Bindings& b) const {
  return weights_.decoderAngles.cosines.empty() ? b.positionIds : nullptr;
}

void Runner::execute(const Program& program, const Op& op, const Bindings& b) {
  const auto width = [&](int value) { return program.values[static_cast<size_t>(value)].width; };
  const auto element = [&](int value) { return program.values[static_cast<size_t>(value)].element; };
  const auto stride = [&](int value) { return storedWidth(width(value), element(value)); };
  switch (op.kind) {
    case OpKind::Patches: {
      const spec::PatchEmbedding& e = spec_.encoder.embedding;
      ops::PatchesArgs args{b.pixels,
                            at(program, op.out, b),
                            b.batch,
                            e.channels,
                            b.height,
                            b.width,
                            e.patchHeight,
                            e.patchWidth,
                            b.grids.front().height,
                            b.grids.front().width};
      if (const auto* overlap = std::get_if<spec::OverlappingPatches>(&e.tiling)) {
        args.strideH = overlap->strideHeight, args.strideW = overlap->strideWidth;
        args.padH = overlap->padHeight, args.padW = overlap->padWidth;
      }
      args.order = cellOrder(e);
      args.element = element(op.out);
      backend_.patches(args);
      break;
    }
    case OpKind::AssembleTokens: {
      const std::vector<float>&prefix = weights_.prefixTokens, &suffix = weights_.suffixTokens;
      const auto count = [&](const auto& tokens) { return static_cast<int64_t>(tokens.size()) / width(op.out); };
      backend_.assembleTokens({at(program, op.in, b), prefix.empty() ? nullptr : prefix.data(), b.positions,
                               at(program, op.out, b), b.batch, count(prefix), b.grids.front().cells(), width(op.out),
                               suffix.empty() ? nullptr : suffix.data(), count(suffix)});
      break;
    }
    case OpKind::AddPositions:
      backend_.addPositions({at(program, op.out, b), (*b.layerPositions)[static_cast<size_t>(op.layer)].data(), b.batch,
                             b.tokens / b.batch, width(op.out)});
      break;
    case OpKind::EmbedTokens:
      backend_.embedTokens({weights_.tokenTable.empty() ? nullptr : weights_.tokenTable.data(),
                            op.usePositions ? weights_.decoderPositions.data() : nullptr, at(program, op.out, b), b.ids,
                            positionRows(b), b.tokens, width(op.out), static_cast<float>(spec_.decoder.embedding.scale),
                            weights_.head.get(), static_cast<int64_t>(weights_.tokenTable.size()) / width(op.out),
                            static_cast<int64_t>(weights_.decoderPositions.size()) / width(op.out)});
      break;
    case OpKind::EmbedStreams:
      embedStreams(at(program, op.out, b), width(op.out), b);
      break;
    case OpKind::TakeStream: {
      const size_t floats = static_cast<size_t>(b.tokens * width(op.in));
      backend_.copy(at(program, op.out, b), at(program, op.in, b) + floats, floats);
      break;
    }
    case OpKind::EmbedPositions:
      backend_.embedTokens({weights_.decoderPositions.data(), nullptr, at(program, op.out, b), positionRows(b), nullptr,
                            b.tokens, width(op.out), 1.f, nullptr,
                            static_cast<int64_t>(weights_.decoderPositions.size()) / width(op.out)});
      break;
    case OpKind::Linear: {
      ops::LinearArgs args{};
      args.weight = op.weight;
      args.x = at(program, op.in, b);
      args.ldx = stride(op.in);
      args.xElement = element(op.in);
      args.y = at(program, op.out, b);
      args.ldy = stride(op.out);
      args.yElement = element(op.out);
      args.rows = rows(program, op.in, b);
      args.useBias = op.useBias;
      args.activation = op.activation;
      if (op.residual >= 0) args.residual = at(program, op.residual, b);
      args.ldr = width(op.out);
      backend_.linear(args);
      break;
    }
    case OpKind::AddBias:
      backend_.addBias({at(program, op.out, b), rows(program, op.out, b), width(op.out), backend_.biasOf(*op.weight)});
      break;
    case OpKind::Activate:
      backend_.activate({at(program, op.out, b), rows(program, op.out, b), width(op.out), op.activation});
      break;
    case OpKind::Add:
      backend_.add({at(program, op.out, b), at(program, op.in, b), rows(program, op.out, b), width(op.out)});
      break;
    case OpKind::Scale:
      backend_.scaleColumns({at(program, op.out, b), rows(program, op.out, b), width(op.out), op.factors});
      break;
    case OpKind::Gate:
      backend_.gate({at(program, op.in, b), at(program, op.out, b), rows(program, op.out, b), width(op.out),
                     op.activation, element(op.out)});
      break;
    case OpKind::Rotate:
      backend_.rotate({at(program, op.out, b), b.angles->cosines.data(), b.angles->sines.data(), b.batch,
                       b.tokens / b.batch, b.grids.front().cells(), op.heads, op.headDim});
      break;
    case OpKind::TurnPairs: {
      const auto& turned = std::get<spec::TurnedPositions>(spec_.decoder.embedding.positions);
      backend_.turnPairs({at(program, op.out, b), weights_.decoderAngles.cosines.data(),
                          weights_.decoderAngles.sines.data(), b.positionIds, b.tokens, op.heads, op.headDim,
                          turned.rows, turned.turns == spec::Turns::Keys ? 2 : 3});
      break;
    }
    case OpKind::PoolTokens:
      backend_.poolTokens({at(program, op.in, b), at(program, op.out, b), b.batch, rows(program, op.in, b) / b.batch,
                           op.pool, width(op.out)});
      break;
    case OpKind::MergeCells: {
      const Grid& grid = b.grids[op.stage];
      backend_.mergeCells(
          {at(program, op.in, b), at(program, op.out, b), b.batch, grid.height, grid.width, width(op.in)});
      break;
    }
    case OpKind::WindowAttention:
      executeWindow(program, op, b);
      break;
    case OpKind::LayerNorm:
      executeNorm(program, op, b);
      break;
    case OpKind::Round:
      backend_.round({at(program, op.in, b), width(op.in), at(program, op.out, b), stride(op.out),
                      rows(program, op.in, b), width(op.in), element(op.out)});
      break;
    case OpKind::Tap: {
      if (b.taps) {
        const int64_t count = b.streams ? b.tokens : rows(program, op.in, b);
        TappedState copy{std::vector<float>(static_cast<size_t>(count * width(op.in))), width(op.in)};
        backend_.download(copy.data.data(), at(program, op.in, b), copy.data.size());
        b.taps->push_back(std::move(copy));
      }
      break;
    }
    default:
      executeAttention(program, op, b);
  }
}

// One result, or two: float32 for the residual stream, 16 bits for the linear maps that follow.
void Runner::executeNorm(const Program& program, const Op& op, const Bindings& b) {
  const auto value = [&](int v) -> const Value& { return program.values[static_cast<size_t>(v)]; };
  ops::LayerNormArgs args{};
  args.x = at(program, op.in, b);
  args.ldx = args.width = args.ldy = value(op.in).width;
  args.rows = rows(program, op.in, b);
  args.gamma = op.norm->gamma.data();
  args.beta = op.norm->beta.empty() ? nullptr : op.norm->beta.data();
  args.eps = op.norm->eps;
  args.kind = op.norm->kind;
  const bool narrow = op.out >= 0 && value(op.out).element != Element::Float32;
  const int rounded = narrow ? op.out : op.rounded;
  if (op.out >= 0 && !narrow) args.y = at(program, op.out, b);
  if (rounded >= 0) {
    args.rounded = at(program, rounded, b);
    args.roundedElement = value(rounded).element;
    args.ldRounded = storedWidth(args.width, args.roundedElement);
  }
  backend_.layerNorm(args);
}

void Runner::executeWindow(const Program& program, const Op& op, const Bindings& b) {
  const EncoderLayerWeights& layer = *op.encoderLayer;
  const Grid& grid = b.grids[op.stage];
  const spec::WindowSpan& window = *op.window;
  const bool still = window.smallMap == spec::SmallMap::Still && std::min(grid.height, grid.width) <= window.side;
  ops::WindowAttentionArgs args{};
  args.qkv = at(program, op.in, b);
  args.padding = backend_.biasOf(*layer.attention.qkv);
  args.out = at(program, op.out, b);
  args.batch = b.batch;
  args.map = {grid.height, grid.width, window.side, still ? 0 : window.shift};
  args.heads = op.heads;
  args.headDim = op.headDim;
  args.similarity =
      std::holds_alternative<spec::DotSimilarity>(window.similarity) ? ops::Similarity::Dot : ops::Similarity::Cosine;
  args.scale = layer.similarityScale.data();
  args.bias = layer.windowBias.view();
  args.mask = static_cast<float>(window.mask);
  args.type = weights_.type;
  args.qkvElement = program.values[static_cast<size_t>(op.in)].element;
  args.outElement = program.values[static_cast<size_t>(op.out)].element;
  backend_.windowAttention(args);
}

void Runner::embedStreams(float* x, int64_t width, const Bindings& b) {
  for (int64_t s = 0; s < b.streams; ++s) {
    const std::vector<float>& starts = weights_.streamStarts[static_cast<size_t>(s)];
    backend_.embedTokens({starts.data(), nullptr, x + (1 + s) * b.tokens * width, b.positionIds, nullptr, b.tokens,
                          width, 1.f, nullptr, static_cast<int64_t>(starts.size()) / width});
  }
}

void Runner::executeNgram(const Program& program, const Op& op, const Bindings& b) {
  const int64_t inner = op.heads * op.headDim;
  const size_t layer = static_cast<size_t>(op.layer);
  const CacheView& cache = *b.selfCache;
  ops::NgramAttentionArgs args{};
  args.main.q = at(program, op.in, b);
  args.main.ldq = 3 * inner;
  args.main.keys = cache.keys[layer];
  args.main.values = cache.values[layer];
  args.main.capacity = cache.capacity;
  args.main.out = at(program, op.out, b);
  args.main.ldo = inner;
  args.main.tokens = b.tokens;
  args.main.heads = op.heads;
  args.main.headDim = op.headDim;
  args.main.scale = op.scale;
  args.main.slotOfToken = b.row;
  args.main.lengthOfToken = b.length;
  args.main.slots = b.ancestry;
  args.main.maskOfToken = b.masks;
  args.main.cacheType = cache.type;
  args.relative = at(program, op.relative, b);
  args.bucketOfDistance = weights_.bucketOfDistance.data();
  args.firstOfRun = b.firstOfRun;
  args.lengthOfRun = b.lengthOfRun;
  args.streams = b.streams;
  args.buckets = spec_.decoder.streams->buckets;
  args.distances = static_cast<int64_t>(weights_.bucketOfDistance.size());
  backend_.ngramAttention(args);
}

void Runner::executeAttention(const Program& program, const Op& op, const Bindings& b) {
  const int64_t inner = op.heads * op.headDim;
  const auto element = [&](int value) { return program.values[static_cast<size_t>(value)].element; };
  const float* in = at(program, op.in, b);
  const size_t layer = static_cast<size_t>(op.layer);
  if (op.kind == OpKind::EncoderAttention) {
    const ops::RelativeBias bias = b.biases ? (*b.biases)[layer].view() : ops::RelativeBias{};
    const int64_t tokens = rows(program, op.in, b) / b.batch;
    backend_.encoderAttention({in, at(program, op.out, b), b.batch, tokens, op.heads, op.headDim, op.scale,
                               b.biases ? &bias : nullptr, weights_.type, op.unitTokens ? tokens / op.unitTokens : 1,
                               op.pool, element(op.in), element(op.out)});
    return;
  }
  if (op.kind == OpKind::WriteSelfCache) {
    backend_.writeCache({in + inner, in + 2 * inner, 3 * inner, 3 * inner, b.selfCache->keys[layer],
                         b.selfCache->values[layer], b.selfCache->capacity, b.tokens, op.heads, op.headDim, b.slot,
                         b.position, b.selfCache->type});
    return;
  }
  if (op.kind == OpKind::WriteCrossCache) {
    backend_.writeCache({in, in + inner, 2 * inner, 2 * inner, b.crossCache->keys[layer], b.crossCache->values[layer],
                         b.crossCache->capacity, b.tokens, op.heads, op.headDim, b.crossSlot, b.crossPosition,
                         b.crossCache->type});
    return;
  }
  if (op.kind == OpKind::NgramAttention) return executeNgram(program, op, b);
  const bool self = op.kind == OpKind::SelfAttention;
  const CacheView& cache = self ? *b.selfCache : *b.crossCache;
  ops::CachedAttentionArgs args{};
  args.q = in;
  args.ldq = self ? 3 * inner : inner;
  args.cacheType = cache.type;
  args.keys = cache.keys[layer];
  args.values = cache.values[layer];
  args.capacity = cache.capacity;
  args.out = at(program, op.out, b);
  args.outElement = element(op.out);
  args.ldo = storedWidth(inner, args.outElement);
  args.tokens = b.tokens;
  args.heads = op.heads;
  args.headDim = op.headDim;
  args.scale = op.scale;
  args.slotOfToken = self ? b.row : b.crossSlot;
  args.lengthOfToken = self ? b.length : b.crossLength;
  args.slots = self ? b.ancestry : nullptr;
  args.maskOfToken = self ? b.masks : nullptr;
  // a block's first attention is not asked for, whatever it reads
  const bool wanted = !self && b.crossProbabilities && layer < b.crossProbabilities->size();
  ops::Buffer probabilities(backend_);
  const int64_t blocks = 1 + b.streams, perBlock = b.tokens * op.heads * cache.capacity;
  if (wanted) args.probabilities = probabilities.reserve(static_cast<size_t>(blocks * perBlock));
  for (int64_t block = 0; block < blocks; ++block) {
    backend_.cachedAttention(args);
    args.q += b.tokens * args.ldq;
    args.out += b.tokens * args.ldo;
    if (wanted) args.probabilities += perBlock;
  }
  if (wanted) (*b.crossProbabilities)[layer] = probabilities.toHost(static_cast<size_t>(blocks * perBlock));
}

}  // namespace ved::plan
