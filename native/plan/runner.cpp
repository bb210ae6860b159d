#include <cstring>

#include "core/error.h"
#include "plan/program.h"

namespace ved::plan {

int64_t Runner::rows(const Program& program, int value, const Bindings& b) const {
  if (program.values[static_cast<size_t>(value)].rows == RowKind::Token) return b.tokens;
  const spec::PatchEmbedding& e = spec_.encoder.embedding;
  return b.batch * (b.height / e.patchHeight) * (b.width / e.patchWidth);
}

float* Runner::at(const Program& program, int value, const Bindings& b) {
  if (value == program.output) return b.output;
  // Programs never write their input: lowering gives every op result a buffer of its own.
  if (value == program.input) return const_cast<float*>(b.input);
  return arena_.data() + program.values[static_cast<size_t>(value)].offset;
}

void Runner::run(const Program& program, const Bindings& b) {
  if (static_cast<int64_t>(arena_.size()) < program.arenaFloats)
    arena_.resize(static_cast<size_t>(program.arenaFloats));
  size_t tap = 0;
  for (const Op& op : program.ops) {
    if (b.stop && b.stop->load(std::memory_order_relaxed))
      throw Error(ErrorKind::Internal, "ABORTED", "the run was stopped");
    execute(program, op, b, tap);
  }
}

void Runner::execute(const Program& program, const Op& op, const Bindings& b, size_t& tap) {
  const auto width = [&](int value) { return program.values[static_cast<size_t>(value)].width; };
  switch (op.kind) {
    case OpKind::Patches: {
      const spec::PatchEmbedding& e = spec_.encoder.embedding;
      backend_.patches(
          {b.pixels, at(program, op.out, b), b.batch, e.channels, b.height, b.width, e.patchHeight, e.patchWidth});
      break;
    }
    case OpKind::AssembleTokens: {
      const int64_t prefix = static_cast<int64_t>(spec_.encoder.embedding.prefixTokens.size());
      backend_.assembleTokens({at(program, op.in, b), prefix ? weights_.prefixTokens.data() : nullptr, b.positions,
                               at(program, op.out, b), b.batch, prefix, rows(program, op.in, b) / b.batch,
                               width(op.out)});
      break;
    }
    case OpKind::EmbedTokens:
      backend_.embedTokens({weights_.tokenTable.data(), op.usePositions ? weights_.decoderPositions.data() : nullptr,
                            at(program, op.out, b), b.ids, b.positionIds, b.tokens, width(op.out),
                            static_cast<float>(spec_.decoder.embedding.scale)});
      break;
    case OpKind::EmbedPositions:
      backend_.embedTokens({weights_.decoderPositions.data(), nullptr, at(program, op.out, b), b.positionIds, nullptr,
                            b.tokens, width(op.out), 1.f});
      break;
    case OpKind::Linear: {
      ops::LinearArgs args{};
      args.weight = op.weight;
      args.x = at(program, op.in, b);
      args.ldx = width(op.in);
      args.y = at(program, op.out, b);
      args.ldy = width(op.out);
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
    case OpKind::LayerNorm:
      backend_.layerNorm({at(program, op.in, b), width(op.in), at(program, op.out, b), width(op.out),
                          rows(program, op.in, b), width(op.in), op.norm->gamma.data(), op.norm->beta.data(),
                          op.norm->eps});
      break;
    case OpKind::Tap: {
      if (b.taps) {
        const float* data = at(program, op.in, b);
        (*b.taps)[tap++].assign(data, data + rows(program, op.in, b) * width(op.in));
      }
      break;
    }
    default:
      executeAttention(program, op, b);
  }
}

void Runner::executeAttention(const Program& program, const Op& op, const Bindings& b) {
  const int64_t inner = op.heads * op.headDim;
  const float* in = at(program, op.in, b);
  const size_t layer = static_cast<size_t>(op.layer);
  if (op.kind == OpKind::EncoderAttention) {
    backend_.encoderAttention(
        {in, at(program, op.out, b), b.batch, b.tokens / b.batch, op.heads, op.headDim, op.scale});
    return;
  }
  if (op.kind == OpKind::WriteSelfCache) {
    backend_.writeCache({in + inner, in + 2 * inner, 3 * inner, 3 * inner, b.selfCache->keys[layer],
                         b.selfCache->values[layer], b.selfCache->capacity, b.tokens, op.heads, op.headDim, b.slot,
                         b.position});
    return;
  }
  if (op.kind == OpKind::WriteCrossCache) {
    backend_.writeCache({in, in + inner, 2 * inner, 2 * inner, b.crossCache->keys[layer], b.crossCache->values[layer],
                         b.crossCache->capacity, b.tokens, op.heads, op.headDim, b.crossSlot, b.crossPosition});
    return;
  }
  const bool self = op.kind == OpKind::SelfAttention;
  const CacheView& cache = self ? *b.selfCache : *b.crossCache;
  ops::CachedAttentionArgs args{};
  args.q = in;
  args.ldq = self ? 3 * inner : inner;
  args.keys = cache.keys[layer];
  args.values = cache.values[layer];
  args.capacity = cache.capacity;
  args.out = at(program, op.out, b);
  args.ldo = inner;
  args.tokens = b.tokens;
  args.heads = op.heads;
  args.headDim = op.headDim;
  args.scale = op.scale;
  args.slotOfToken = self ? b.row : b.crossSlot;
  args.lengthOfToken = self ? b.length : b.crossLength;
  args.slots = self ? b.ancestry : nullptr;
  args.maskOfToken = self ? b.masks : nullptr;
  if (!self && b.crossProbabilities) {
    std::vector<float>& out = (*b.crossProbabilities)[layer];
    out.assign(static_cast<size_t>(b.tokens * op.heads * cache.capacity), 0.f);
    args.probabilities = out.data();
  }
  backend_.cachedAttention(args);
}

}  // namespace ved::plan
