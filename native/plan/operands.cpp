// Where the operands of linear maps lie in 16 bits. The residual stream, statistics and everything that is added stay
// float32; what is rounded anyway, because a linear map multiplies it, is rounded once, by the op that makes it.
#include <algorithm>
#include <vector>

#include "plan/program.h"

namespace ved::plan {
namespace {

bool multiplies(const Op& op, Element element) {
  return op.kind == OpKind::Linear && operandElement(op.weight->type) == element;
}

// Attention of whole images and of windows is made of products of rounded numbers; that of units is float32.
bool attendsRounded(const Op& op) {
  return op.kind == OpKind::WindowAttention ||
         (op.kind == OpKind::EncoderAttention && op.unitTokens == 0 && op.pool == 1);
}

// Reads its input rounded, and nothing else of it.
bool readsRounded(const Op& op, int value, Element element) {
  if (op.in != value || op.residual == value || op.relative == value || op.out == value) return false;
  return multiplies(op, element) || attendsRounded(op);
}

// Can write its result rounded. A linear map that adds a residual writes the residual stream.
bool writesRounded(const Op& op) {
  switch (op.kind) {
    case OpKind::Linear:
      return op.residual < 0;
    case OpKind::Patches:
    case OpKind::Gate:
    case OpKind::SelfAttention:
    case OpKind::CrossAttention:
      return true;
    case OpKind::LayerNorm:
      return op.in != op.out;
    default:
      return attendsRounded(op);
  }
}

// Made once, by an op that can round, and read by nobody who needs more.
bool onlyOperand(const Program& program, int value, Element element) {
  const Value& v = program.values[static_cast<size_t>(value)];
  if (v.external || value == program.input || value == program.output) return false;
  int writers = 0, readers = 0;
  for (const Op& op : program.ops) {
    if (op.out == value) {
      if (!writesRounded(op)) return false;
      ++writers;
    }
    if (!reads(op, value)) continue;
    if (!readsRounded(op, value, element)) return false;
    ++readers;
  }
  return writers == 1 && readers > 0;
}

// Gives every linear map whose input has to stay float32 a rounded copy of it: written beside the original by the norm
// that made it, else by an op of its own. A copy serves until the original is written again.
class Copies {
 public:
  Copies(Program& program, Element element) : program_(program), element_(element), known_(program.values.size()) {}

  void run() {
    std::vector<Op> ops = std::move(program_.ops);
    for (Op& op : ops) {
      if (multiplies(op, element_) && program_.values[static_cast<size_t>(op.in)].element == Element::Float32)
        op.in = copyOf(op.in);
      program_.ops.push_back(op);
      if (op.out < 0) continue;
      Copy& copy = known_[static_cast<size_t>(op.out)];
      copy = {};
      if (op.kind == OpKind::LayerNorm && op.rounded < 0) copy.norm = static_cast<int>(program_.ops.size()) - 1;
    }
  }

 private:
  struct Copy {
    int value = -1;
    int norm = -1;  // the op that could write it
  };

  int copyOf(int value) {
    if (known_[static_cast<size_t>(value)].value < 0) {
      Value copy = program_.values[static_cast<size_t>(value)];
      copy.name += ".rounded";
      copy.element = element_;
      copy.external = false;
      program_.values.push_back(copy);
      known_.emplace_back();
      Copy& known = known_[static_cast<size_t>(value)];
      known.value = static_cast<int>(program_.values.size()) - 1;
      if (known.norm >= 0) {
        program_.ops[static_cast<size_t>(known.norm)].rounded = known.value;
      } else {
        Op op;
        op.kind = OpKind::Round;
        op.in = value;
        op.out = known.value;
        program_.ops.push_back(op);
      }
    }
    return known_[static_cast<size_t>(value)].value;
  }

  Program& program_;
  Element element_;
  std::vector<Copy> known_;  // by value
};

// A norm whose float32 result nobody reads before it is written again writes the rounded one alone.
void dropUnread(Program& program) {
  for (size_t i = 0; i < program.ops.size(); ++i) {
    Op& op = program.ops[i];
    if (op.kind != OpKind::LayerNorm || op.rounded < 0) continue;
    if (op.out == program.output || program.values[static_cast<size_t>(op.out)].external) continue;
    bool read = false;
    for (size_t j = i + 1; j < program.ops.size() && !read; ++j) {
      read = reads(program.ops[j], op.out);
      if (!read && program.ops[j].out == op.out) break;
    }
    if (!read) op.out = -1;
  }
}

}  // namespace

void storeOperands(Program& program, Element element) {
  for (size_t v = 0; v < program.values.size(); ++v)
    if (onlyOperand(program, static_cast<int>(v), element)) program.values[v].element = element;
  Copies(program, element).run();
  dropUnread(program);
}

}  // namespace ved::plan
