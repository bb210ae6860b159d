// Fusion and placement on hand-made and random programs; position tables.
#include <algorithm>
#include <cmath>
#include <string>

#include "harness.h"
#include "plan/program.h"

using namespace ved;
using namespace ved::plan;
using ved::test::Random;

namespace {

int addValue(Program& program, int64_t width = 8, RowKind rows = RowKind::Token, bool external = false) {
  Value value;
  value.name = "v" + std::to_string(program.values.size());
  value.width = width;
  value.rows = rows;
  value.external = external;
  program.values.push_back(value);
  return static_cast<int>(program.values.size()) - 1;
}

Op& addOp(Program& program, OpKind kind, int in, int out) {
  Op op;
  op.kind = kind;
  op.in = in;
  op.out = out;
  program.ops.push_back(op);
  return program.ops.back();
}

// x -> linear -> y, with what follows it in a model.
struct Block {
  Program program;
  int x, y, sum;
  Block() : x(addValue(program)), y(addValue(program)), sum(addValue(program, 8, RowKind::Token, true)) {
    program.name = "block";
    addOp(program, OpKind::Linear, x, y);
  }
  void bias() { addOp(program, OpKind::AddBias, y, y); }
  void activate() { addOp(program, OpKind::Activate, y, y).activation = Activation::Relu; }
  void add() { addOp(program, OpKind::Add, y, sum); }
};

bool readsValue(const Op& op, int value) {
  const bool inPlace = op.kind == OpKind::AddBias || op.kind == OpKind::Activate || op.kind == OpKind::Add;
  return op.in == value || op.residual == value || (inPlace && op.out == value);
}

// Alive: from the first op that touches it to the last one.
bool aliveAt(const Program& program, int value, size_t at) {
  bool before = false, after = false;
  for (size_t i = 0; i < program.ops.size(); ++i) {
    if (!readsValue(program.ops[i], value) && program.ops[i].out != value) continue;
    before |= i <= at;
    after |= i >= at;
  }
  return before && after;
}

Program randomProgram(Random& random) {
  Program program;
  program.name = "random";
  const int64_t values = 2 + random.below(20), ops = 1 + random.below(40);
  for (int64_t i = 0; i < values; ++i)
    addValue(program, 1 + random.below(40), random.below(3) ? RowKind::Token : RowKind::Patch, random.below(8) == 0);
  const OpKind kinds[] = {OpKind::Linear, OpKind::Add, OpKind::LayerNorm, OpKind::Activate, OpKind::Tap};
  for (int64_t i = 0; i < ops; ++i) {
    const OpKind kind = kinds[random.below(5)];
    const int in = static_cast<int>(random.below(values)), out = static_cast<int>(random.below(values));
    Op& op = addOp(program, kind, in, kind == OpKind::Tap ? -1 : kind == OpKind::Activate ? in : out);
    if (kind == OpKind::Linear && random.below(3) == 0) op.residual = op.out;
  }
  return program;
}

int64_t floatsOf(const Value& value, int64_t tokens, int64_t patches) {
  return value.width * (value.rows == RowKind::Token ? tokens : patches);
}

bool overlap(const Value& a, const Value& b, int64_t tokens, int64_t patches) {
  return a.offset < b.offset + floatsOf(b, tokens, patches) && b.offset < a.offset + floatsOf(a, tokens, patches);
}

void checkPlacement(const Program& program, int64_t tokens, int64_t patches) {
  for (size_t at = 0; at < program.ops.size(); ++at) {
    std::vector<const Value*> alive;
    for (size_t v = 0; v < program.values.size(); ++v)
      if (!program.values[v].external && aliveAt(program, static_cast<int>(v), at)) alive.push_back(&program.values[v]);
    for (size_t i = 0; i < alive.size(); ++i) {
      CHECK(alive[i]->offset >= 0);
      CHECK(alive[i]->offset + floatsOf(*alive[i], tokens, patches) <= program.arenaFloats);
      for (size_t j = 0; j < i; ++j) CHECK(!overlap(*alive[i], *alive[j], tokens, patches));
    }
  }
}

}  // namespace

VED_TEST(plan_fuse_absorbs_the_epilogue) {
  Block b;
  b.bias();
  b.activate();
  b.add();
  fuse(b.program);
  CHECK_EQ(b.program.ops.size(), size_t{1});
  const Op& op = b.program.ops.front();
  CHECK(op.kind == OpKind::Linear && op.useBias && op.activation == Activation::Relu);
  CHECK_EQ(op.in, b.x);
  CHECK_EQ(op.out, b.sum);
  CHECK_EQ(op.residual, b.sum);
}

VED_TEST(plan_fuse_takes_each_part_alone) {
  for (int part = 0; part < 3; ++part) {
    Block b;
    part == 0 ? b.bias() : part == 1 ? b.activate() : b.add();
    fuse(b.program);
    CHECK_EQ(b.program.ops.size(), size_t{1});
    const Op& op = b.program.ops.front();
    CHECK_EQ(op.useBias, part == 0);
    CHECK_EQ(op.activation == Activation::Relu, part == 1);
    CHECK_EQ(op.residual, part == 2 ? b.sum : -1);
  }
}

VED_TEST(plan_fuse_leaves_a_value_that_is_read_later) {
  for (OpKind reader : {OpKind::LayerNorm, OpKind::Tap, OpKind::Linear, OpKind::Add}) {
    Block b;
    b.bias();
    b.add();
    addOp(b.program, reader, b.y, reader == OpKind::Tap ? -1 : addValue(b.program));
    fuse(b.program);
    CHECK_EQ(b.program.ops.size(), size_t{3});
    CHECK_EQ(b.program.ops[0].residual, -1);
    CHECK_EQ(b.program.ops[0].out, b.y);
    CHECK(b.program.ops[0].useBias);
    CHECK(b.program.ops[1].kind == OpKind::Add);
  }
}

VED_TEST(plan_fuse_stops_at_a_reader_in_between) {
  Block b;
  addOp(b.program, OpKind::Tap, b.y, -1);
  b.bias();
  b.activate();
  fuse(b.program);
  CHECK_EQ(b.program.ops.size(), size_t{4});
  CHECK(!b.program.ops[0].useBias);
  CHECK(b.program.ops[0].activation == Activation::Identity);
}

VED_TEST(plan_fuse_does_not_overwrite_its_input) {
  Block b;  // x += linear(x): a fused op would write the rows it still reads
  addOp(b.program, OpKind::Add, b.y, b.x);
  fuse(b.program);
  CHECK_EQ(b.program.ops.size(), size_t{2});
  CHECK_EQ(b.program.ops[0].residual, -1);
}

VED_TEST(plan_fuse_keeps_the_order_of_add_and_activation) {
  Block b;  // relu after the sum is not relu before it
  b.add();
  addOp(b.program, OpKind::Activate, b.sum, b.sum).activation = Activation::Relu;
  fuse(b.program);
  CHECK_EQ(b.program.ops.size(), size_t{2});
  CHECK(b.program.ops[0].activation == Activation::Identity);
}

VED_TEST(plan_fuse_joins_token_and_position_rows) {
  for (const bool normBetween : {false, true}) {
    Program program;
    const int x = addValue(program), positions = addValue(program);
    addOp(program, OpKind::EmbedTokens, -1, x);
    if (normBetween) addOp(program, OpKind::LayerNorm, x, x);
    addOp(program, OpKind::EmbedPositions, -1, positions);
    addOp(program, OpKind::Add, positions, x);
    fuse(program);
    CHECK_EQ(program.ops.size(), size_t{normBetween ? 4u : 1u});
    CHECK_EQ(program.ops.front().usePositions, !normBetween);
  }
}

VED_TEST(plan_fuse_keeps_position_rows_that_are_read_later) {
  Program program;
  const int x = addValue(program), positions = addValue(program);
  addOp(program, OpKind::EmbedTokens, -1, x);
  addOp(program, OpKind::EmbedPositions, -1, positions);
  addOp(program, OpKind::Add, positions, x);
  addOp(program, OpKind::Tap, positions, -1);
  fuse(program);
  CHECK_EQ(program.ops.size(), size_t{4});
}

VED_TEST(plan_place_never_overlaps_live_values) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    Program program = randomProgram(random);
    if (random.below(2)) fuse(program);
    const int64_t tokens = 1 + random.below(9), patches = 1 + random.below(9);
    place(program, {tokens, patches});
    checkPlacement(program, tokens, patches);
  }
}

VED_TEST(plan_place_shares_memory) {
  Program program;
  const int64_t layers = 10;
  int last = addValue(program, 16);
  for (int64_t i = 0; i < layers; ++i) {
    const int next = addValue(program, 16);
    addOp(program, OpKind::LayerNorm, last, next);
    last = next;
  }
  place(program, {4, 1});
  CHECK_EQ(program.arenaFloats, int64_t{2 * 16 * 4});  // one being read, one being written
}

VED_TEST(plan_place_again_starts_anew) {
  Random random(11);
  Program program = randomProgram(random);
  place(program, {9, 9});
  const int64_t large = program.arenaFloats;
  place(program, {2, 2});
  checkPlacement(program, 2, 2);
  CHECK(program.arenaFloats <= large);
}

VED_TEST(plan_dump_is_stable) {
  Block b;
  b.bias();
  b.activate();
  b.add();
  addOp(b.program, OpKind::SelfAttention, b.sum, b.y).layer = 3;
  const std::string act = std::to_string(static_cast<int>(Activation::Relu));
  CHECK_EQ(dump(b.program), std::string("block\n"
                                        "  linear %0:v0 -> %1:v1\n"
                                        "  add_bias %1:v1 -> %1:v1\n"
                                        "  activate %1:v1 -> %1:v1 act=" +
                                        act +
                                        "\n"
                                        "  add %1:v1 -> %2:v2\n"
                                        "  self_attention %2:v2 -> %1:v1 layer=3\n"));
  fuse(b.program);
  CHECK_EQ(dump(b.program), "block\n  linear %0:v0 -> %2:v2 +bias act=" + act +
                                " +residual\n"
                                "  self_attention %2:v2 -> %1:v1 layer=3\n");
}

constexpr spec::Resample kResamples[] = {spec::Resample::Bicubic, spec::Resample::BicubicAntialias};

VED_TEST(plan_positions_on_the_same_grid_are_unchanged) {
  Random random(5);
  for (const spec::Resample resample : kResamples) {
    const spec::GridPositions grid{0, 2, 4, 3, 5, resample};
    std::vector<float> table(static_cast<size_t>((2 + 3 * 5 + 4) * 7));
    random.fill(table.data(), table.size());
    CHECK(interpolatePositions(table.data(), grid, 7, {2, 3, 5, 4}) == table);
  }
}

VED_TEST(plan_positions_keep_constants_and_learned_tokens) {
  for (const spec::Resample resample : kResamples) {
    const spec::GridPositions grid{0, 1, 1, 3, 4, resample};
    std::vector<float> table(static_cast<size_t>((2 + 3 * 4) * 2), 0.75f);
    table.front() = -3.f;
    table.back() = 5.f;
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {7, 2}, {3, 9}, {16, 16}}) {
      const std::vector<float> out = interpolatePositions(table.data(), grid, 2, {1, height, width, 1});
      CHECK_EQ(static_cast<int64_t>(out.size()), (2 + height * width) * 2);
      CHECK_EQ(out.front(), -3.f);
      CHECK_EQ(out.back(), 5.f);
      // The weights of a point sum to 1 up to their rounding: some dozen operations of magnitude at most 2, twice.
      for (size_t i = 1; i + 1 < out.size(); ++i) checkClose(out[i], 0.75, 64 * 1.2e-7, "constant table");
    }
  }
}

VED_TEST(plan_positions_of_tokens_without_one_are_zero) {
  const spec::GridPositions grid{0, 1, 1, 2, 2, spec::Resample::Bicubic};
  const std::vector<float> table{1, 2, 3, 4, 5, 6};
  const std::vector<float> want{1, 0, 0, 2, 3, 4, 5, 6, 0};
  CHECK(interpolatePositions(table.data(), grid, 1, {3, 2, 2, 2}) == want);
}

// Columns before rows, sines before cosines; frequencies 1 and 1 / 100 of base 10000 at width 8.
VED_TEST(plan_wave_positions_by_hand) {
  const std::vector<float> out = wavePositions({10000.0}, 8, {1, 3, 2, 1});
  CHECK_EQ(static_cast<int64_t>(out.size()), 8 * 8);
  const double want[] = {std::sin(1.0), std::sin(0.01), std::cos(1.0), std::cos(0.01),
                         std::sin(2.0), std::sin(0.02), std::cos(2.0), std::cos(0.02)};
  for (size_t i = 0; i < 8; ++i) {
    CHECK_EQ(out[i], 0.0f);
    CHECK_EQ(out[7 * 8 + i], 0.0f);
    CHECK_EQ(out[6 * 8 + i], static_cast<float>(want[i]));  // the cell of row 2 and column 1
  }
}

// On the configured grid a bias is the stored one, read by relativeIndex().
VED_TEST(plan_bias_of_the_configured_grid_is_the_stored_one) {
  Random random(6);
  const int64_t side = 3, heads = 2, span = 2 * side - 1;
  std::vector<float> stored(static_cast<size_t>((span * span + 3) * heads));
  random.fill(stored.data(), stored.size());
  const BiasTable bias = interpolateBias(stored, {{}, side, side}, heads, side, side);
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t q = 0; q < side * side; ++q)
      for (int64_t k = 0; k < side * side; ++k) {
        const int64_t row = (q / side - k / side + side - 1) * span + q % side - k % side + side - 1;
        CHECK_EQ(bias.table[static_cast<size_t>(h * span * span + ops::relativeIndex(side, side, q, k))],
                 stored[static_cast<size_t>(row * heads + h)]);
      }
    for (int64_t i = 0; i < 3; ++i)
      CHECK_EQ(bias.classes[static_cast<size_t>(h * 3 + i)],
               stored[static_cast<size_t>((span * span + i) * heads + h)]);
  }
}
