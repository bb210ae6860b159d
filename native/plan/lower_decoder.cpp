#include "plan/builder.h"

namespace ved::plan {
namespace {

void decoderLayer(Builder& b, int x, const spec::DecoderSpec& decoder, size_t index, const DecoderLayerWeights& w) {
  const spec::DecoderLayer& layer = decoder.layers[index];
  const int number = static_cast<int>(index);
  residual(b, x, decoder.normPosition, w.selfNorm, [&](int in) {
    const int qkv = b.linear("qkv", in, *w.selfAttention.qkv);
    setHeads(b.push(OpKind::WriteSelfCache, qkv, -1), layer.selfAttention, number);
    const int context = b.value("context", layer.selfAttention.heads * layer.selfAttention.headDim);
    setHeads(b.push(OpKind::SelfAttention, qkv, context), layer.selfAttention, number);
    return b.linear("self.out", context, *w.selfAttention.output);
  });
  residual(b, x, decoder.normPosition, w.crossNorm, [&](int in) {
    const int query = b.linear("cross.query", in, *w.crossAttention.query);
    const int context = b.value("cross.context", layer.crossAttention.heads * layer.crossAttention.headDim);
    setHeads(b.push(OpKind::CrossAttention, query, context), layer.crossAttention, number);
    return b.linear("cross.out", context, *w.crossAttention.output);
  });
  residual(b, x, decoder.normPosition, w.mlpNorm, [&](int in) { return mlp(b, in, layer.mlp, w.mlp); });
}

// Token rows, then position rows: fusion makes one op of the two where no norm stands between them.
void embed(Builder& b, int x, const spec::DecoderEmbedding& embedding, const ModelWeights& weights) {
  const int rows = embedding.projection ? b.value("embedded", embedding.width) : x;
  b.push(OpKind::EmbedTokens, -1, rows);
  if (weights.tokenNorm) b.norm(rows, rows, *weights.tokenNorm);
  const int positions = b.value("positions", embedding.width);
  b.push(OpKind::EmbedPositions, -1, positions);
  b.add(rows, positions);
  if (weights.embeddingNorm) b.norm(rows, rows, *weights.embeddingNorm);
  if (embedding.projection) b.linearInto(rows, x, *weights.embeddingProjection);
}

}  // namespace

Program lowerCross(const spec::ModelSpec& spec, const ModelWeights& weights) {
  Builder b("cross");
  int states = b.value("states", spec.encoder.hiddenSize, RowKind::Token, true);
  b.program.input = states;
  if (weights.projection) states = b.linear("projected", states, *weights.projection);
  for (size_t i = 0; i < spec.decoder.layers.size(); ++i) {
    const int kv = b.linear("kv", states, *weights.decoderLayers[i].crossAttention.kv);
    setHeads(b.push(OpKind::WriteCrossCache, kv, -1), spec.decoder.layers[i].crossAttention, static_cast<int>(i));
  }
  return std::move(b.program);
}

Program lowerDecoder(const spec::DecoderSpec& spec, const ModelWeights& weights) {
  Builder b("decode");
  const int x = b.value("x", spec.hiddenSize, RowKind::Token, true);
  embed(b, x, spec.embedding, weights);
  b.tap(x);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    decoderLayer(b, x, spec, i, weights.decoderLayers[i]);
    // HF replaces the last entry of a decoder's hidden states by the state after the final norm
    if (i + 1 < spec.layers.size()) b.tap(x);
  }
  if (weights.decoderFinalNorm) b.norm(x, x, *weights.decoderFinalNorm);
  b.tap(x);
  b.program.output = x;
  return std::move(b.program);
}

Program lowerHead(const spec::DecoderSpec& spec, const ModelWeights& weights) {
  Builder b("head");
  int states = b.value("hidden", spec.hiddenSize, RowKind::Token, true);
  b.program.input = states;
  if (spec.headTransform) {
    states = b.linear("transformed", states, *weights.headDense, spec.headTransform->activation);
    b.norm(states, states, *weights.headNorm);
  }
  const int logits = b.value("logits", spec.vocabSize, RowKind::Token, true);
  b.linearInto(states, logits, *weights.head);
  b.program.output = logits;
  return std::move(b.program);
}

}  // namespace ved::plan
