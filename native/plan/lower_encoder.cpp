#include "plan/builder.h"

namespace ved::plan {
namespace {

void encoderLayer(Builder& b, int x, const spec::EncoderSpec& encoder, size_t index, const EncoderLayerWeights& w) {
  const spec::EncoderLayer& layer = encoder.layers[index];
  residual(b, x, encoder.normPosition, w.attentionNorm, [&](int in) {
    const int qkv = b.linear("qkv", in, *w.attention.qkv);
    const int context = b.value("context", layer.attention.heads * layer.attention.headDim);
    setHeads(b.push(OpKind::EncoderAttention, qkv, context), layer.attention, static_cast<int>(index));
    return b.linear("attention.out", context, *w.attention.output);
  });
  residual(b, x, encoder.normPosition, w.mlpNorm, [&](int in) { return mlp(b, in, layer.mlp, w.mlp); });
}

}  // namespace

Program lowerEncoder(const spec::EncoderSpec& spec, const ModelWeights& weights) {
  Builder b("encode");
  const spec::PatchEmbedding& embedding = spec.embedding;
  const int patches =
      b.value("patches", embedding.channels * embedding.patchHeight * embedding.patchWidth, RowKind::Patch);
  b.push(OpKind::Patches, -1, patches);
  const int projected =
      b.linear("patch.embedding", patches, *weights.patchProjection, Activation::Identity, RowKind::Patch);
  const int x = b.value("x", spec.hiddenSize, RowKind::Token, true);
  b.push(OpKind::AssembleTokens, projected, x);
  b.tap(x);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    encoderLayer(b, x, spec, i, weights.encoderLayers[i]);
    b.tap(x);
  }
  if (weights.encoderFinalNorm) b.norm(x, x, *weights.encoderFinalNorm);
  b.program.output = x;
  return std::move(b.program);
}

}  // namespace ved::plan
