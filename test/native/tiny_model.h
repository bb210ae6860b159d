// A whole model of a few numbers, drawn at random: one layer each side, images of 8 x 8 in one channel.
#pragma once
#include <cstdint>
#include <memory>

#include "core/tensor_table.h"
#include "core/thread_pool.h"
#include "spec/model_spec.h"

namespace ved::test {

struct TinyModel {
  static constexpr int64_t kSide = 8, kPatch = 4, kWidth = 16, kHeads = 2;
  TensorTable table;
  spec::ModelSpec spec;

  TinyModel(int64_t vocab, int64_t positions, uint64_t seed) {
    encoder();
    decoder(vocab, positions);
    ThreadPool pool(1);
    table.seed = seed;
    table.owned = drawTensors(table.created, seed, pool, [] { return true; });
  }

 private:
  spec::TensorRef tensor(std::vector<int64_t> shape, double low, double high) {
    const auto index = static_cast<int32_t>(table.created.size());
    NewTensor made;
    made.name = "t" + std::to_string(index);
    made.shape = shape;
    made.distribution.kind = Distribution::Kind::Uniform;
    made.distribution.low = low, made.distribution.high = high;
    table.created.push_back(made);
    TensorPlace place{made.name, MemoryBuffer{index}, 4, DType::F32, shape};
    for (const int64_t n : shape) place.byteLength *= n;
    table.tensors.push_back(place);
    return index;
  }
  spec::Linear linear(int64_t in, int64_t out, double scale = 0.5) {
    spec::LinearPart part;
    part.weight = tensor({out, in}, -scale, scale);
    part.bias = tensor({out}, -0.5, 0.5);
    part.out = out;
    return {in, out, {part}};
  }
  spec::Norm norm() { return spec::LayerNorm{tensor({kWidth}, 0.5, 1.5), tensor({kWidth}, -0.5, 0.5), 1e-5}; }
  spec::Mlp mlp() { return {linear(kWidth, 2 * kWidth), Activation::Relu, linear(2 * kWidth, kWidth)}; }

  void encoder() {
    spec::EncoderSpec& e = spec.encoder;
    e.hiddenSize = kWidth;
    spec::PatchEmbedding& patches = e.embedding;
    patches.channels = 1, patches.imageHeight = patches.imageWidth = kSide;
    patches.patchHeight = patches.patchWidth = kPatch;
    patches.tiling = spec::Remainder::Drop;
    patches.projection = linear(kPatch * kPatch, kWidth);
    const int64_t grid = kSide / kPatch;
    patches.positions = spec::GridPositions{tensor({grid * grid, kWidth}, -1, 1), 0, 0, grid, grid};
    spec::EncoderLayer layer;
    layer.attention = {kHeads, kWidth / kHeads, spec::AllSpan{0.35, std::nullopt}, linear(kWidth, 3 * kWidth),
                       linear(kWidth, kWidth)};
    layer.attentionNorm = norm(), layer.mlpNorm = norm();
    static_cast<spec::Mlp&>(layer.mlp) = mlp();
    e.stages.push_back({kWidth, std::nullopt, {layer}, std::nullopt});
    e.finalNorm = norm();
  }

  void decoder(int64_t vocab, int64_t positions) {
    spec::DecoderSpec& d = spec.decoder;
    d.hiddenSize = d.crossWidth = d.embedding.width = kWidth;
    d.vocabSize = vocab, d.maxPositions = positions;
    d.embedding.table = tensor({vocab, kWidth}, -2, 2);
    d.embedding.positions =
        spec::TablePositions{tensor({positions + 2, kWidth}, -1, 1), positions + 2, spec::SequentialIds{2}};
    spec::DecoderLayer layer;
    layer.selfAttention = spec::SelfAttention{kHeads,       kWidth / kHeads,       0.35, linear(kWidth, 3 * kWidth),
                                              std::nullopt, linear(kWidth, kWidth)};
    layer.crossAttention = {
        kHeads, kWidth / kHeads, 0.35, linear(kWidth, kWidth), linear(kWidth, 2 * kWidth), linear(kWidth, kWidth)};
    layer.selfNorm = norm(), layer.crossNorm = norm(), layer.mlpNorm = norm();
    layer.mlp = mlp();
    d.layers.push_back(layer);
    d.finalNorm = norm();
    d.head = linear(kWidth, vocab, 0.8);
  }
};

}  // namespace ved::test
