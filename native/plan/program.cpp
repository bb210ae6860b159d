#include "plan/program.h"

#include <algorithm>

namespace ved::plan {

bool reads(const Op& op, int value) {
  if (op.in == value || op.residual == value || op.relative == value) return true;
  // In-place ops read what they overwrite.
  return op.out == value && (op.kind == OpKind::AddBias || op.kind == OpKind::Activate || op.kind == OpKind::Add ||
                             op.kind == OpKind::Scale);
}

namespace {

bool readLater(const Program& program, size_t from, int value) {
  for (size_t i = from; i < program.ops.size(); ++i)
    if (reads(program.ops[i], value)) return true;
  return false;
}

// The Add that follows reads this linear's output last, and writes a buffer the linear does not read.
bool canAbsorbAdd(const Program& program, size_t next, const Op& linear) {
  if (next >= program.ops.size()) return false;
  const Op& add = program.ops[next];
  return add.kind == OpKind::Add && add.in == linear.out && add.out != linear.in &&
         !readLater(program, next + 1, linear.out);
}

// Token rows, position rows, their sum: `at` begins the three and nobody else reads the position rows.
bool canAbsorbPositions(const Program& program, size_t at) {
  const std::vector<Op>& ops = program.ops;
  if (at + 2 >= ops.size() || ops[at].kind != OpKind::EmbedTokens || ops[at + 1].kind != OpKind::EmbedPositions)
    return false;
  const Op& add = ops[at + 2];
  return add.kind == OpKind::Add && add.in == ops[at + 1].out && add.out == ops[at].out &&
         !readLater(program, at + 3, add.in);
}

struct Life {
  int first = -1, last = -1;
};

std::vector<Life> lives(const Program& program) {
  std::vector<Life> lives(program.values.size());
  for (size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    for (const int value : {op.in, op.out, op.residual, op.relative, op.rounded}) {
      if (value < 0) continue;
      Life& life = lives[static_cast<size_t>(value)];
      if (life.first < 0) life.first = static_cast<int>(i);
      life.last = static_cast<int>(i);
    }
  }
  return lives;
}

struct Placed {
  int64_t offset, size;
  Life life;
};

// Lowest offset at which `size` floats overlap no buffer alive at the same time.
int64_t firstFit(const std::vector<Placed>& placed, const Life& life, int64_t size) {
  std::vector<std::pair<int64_t, int64_t>> taken;
  for (const Placed& p : placed)
    if (p.life.first <= life.last && life.first <= p.life.last) taken.emplace_back(p.offset, p.size);
  std::sort(taken.begin(), taken.end());
  int64_t offset = 0;
  for (const auto& [begin, length] : taken) {
    if (offset + size <= begin) break;
    offset = std::max(offset, begin + length);
  }
  return offset;
}

const char* kindName(OpKind kind) {
  switch (kind) {
    case OpKind::Patches:
      return "patches";
    case OpKind::AssembleTokens:
      return "assemble_tokens";
    case OpKind::AddPositions:
      return "add_positions";
    case OpKind::EmbedTokens:
      return "embed_tokens";
    case OpKind::EmbedPositions:
      return "embed_positions";
    case OpKind::Linear:
      return "linear";
    case OpKind::AddBias:
      return "add_bias";
    case OpKind::Activate:
      return "activate";
    case OpKind::Add:
      return "add";
    case OpKind::LayerNorm:
      return "layer_norm";
    case OpKind::Scale:
      return "scale";
    case OpKind::Gate:
      return "gate";
    case OpKind::Rotate:
      return "rotate";
    case OpKind::TurnPairs:
      return "turn_pairs";
    case OpKind::EncoderAttention:
      return "encoder_attention";
    case OpKind::WindowAttention:
      return "window_attention";
    case OpKind::PoolTokens:
      return "pool_tokens";
    case OpKind::MergeCells:
      return "merge_cells";
    case OpKind::WriteSelfCache:
      return "write_self_cache";
    case OpKind::WriteCrossCache:
      return "write_cross_cache";
    case OpKind::SelfAttention:
      return "self_attention";
    case OpKind::NgramAttention:
      return "ngram_attention";
    case OpKind::EmbedStreams:
      return "embed_streams";
    case OpKind::TakeStream:
      return "take_stream";
    case OpKind::CrossAttention:
      return "cross_attention";
    case OpKind::Round:
      return "round";
    case OpKind::Tap:
      return "tap";
  }
  return "?";
}

}  // namespace

void fuse(Program& program) {
  std::vector<Op> fused;
  std::vector<Op>& ops = program.ops;
  for (size_t i = 0; i < ops.size(); ++i) {
    Op op = ops[i];
    if (op.kind == OpKind::Linear) {
      size_t next = i + 1;
      if (next < ops.size() && ops[next].kind == OpKind::AddBias && ops[next].out == op.out) {
        op.useBias = true;
        ++next;
      }
      if (next < ops.size() && ops[next].kind == OpKind::Activate && ops[next].out == op.out) {
        op.activation = ops[next].activation;
        ++next;
      }
      if (canAbsorbAdd(program, next, op)) {
        op.residual = op.out = ops[next].out;
        ++next;
      }
      i = next - 1;
    }
    if (canAbsorbPositions(program, i)) {
      op.usePositions = true;
      i += 2;
    }
    fused.push_back(op);
  }
  ops = std::move(fused);
}

void place(Program& program, const RowCounts& rows) {
  const std::vector<Life> life = lives(program);
  std::vector<Placed> placed;
  program.arenaFloats = 0;
  for (size_t v = 0; v < program.values.size(); ++v) {
    Value& value = program.values[v];
    if (value.external || life[v].first < 0) continue;
    const int64_t count = storedWidth(value.width, value.element) * rows[static_cast<size_t>(value.rows)];
    const int64_t size = (count * elementBytes(value.element) + 63) / 64 * 16;
    value.offset = firstFit(placed, life[v], size);
    placed.push_back({value.offset, size, life[v]});
    program.arenaFloats = std::max(program.arenaFloats, value.offset + size);
  }
}

std::string dump(const Program& program) {
  std::string text = program.name + "\n";
  const auto name = [&](int v) {
    if (v < 0) return std::string("-");
    const Value& value = program.values[static_cast<size_t>(v)];
    const char* stored = value.element == Element::Float32 ? "" : value.element == Element::BFloat16 ? ":bf16" : ":f16";
    return "%" + std::to_string(v) + ":" + value.name + stored;
  };
  for (const Op& op : program.ops) {
    text += std::string("  ") + kindName(op.kind) + " " + name(op.in) + " -> " + name(op.out);
    if (op.rounded >= 0) text += ", " + name(op.rounded);
    if (op.layer >= 0) text += " layer=" + std::to_string(op.layer);
    if (op.weight) text += " [" + std::to_string(op.weight->out) + "x" + std::to_string(op.weight->in) + "]";
    if (op.useBias) text += " +bias";
    if (op.activation != Activation::Identity) text += " act=" + std::to_string(static_cast<int>(op.activation));
    if (op.usePositions) text += " +positions";
    if (op.residual >= 0) text += " +residual";
    text += "\n";
  }
  return text;
}

}  // namespace ved::plan
