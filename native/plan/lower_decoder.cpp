#include "plan/builder.h"

namespace ved::plan {
namespace {

int self(Builder& b, int in, const spec::SelfAttention& attention, const SelfAttentionWeights& w, int layer,
         const spec::DecoderPositions& positions) {
  const int qkv = b.linear("qkv", in, *w.qkv);
  const int relative = w.relative ? b.linear("relative", in, *w.relative) : -1;
  if (std::holds_alternative<spec::TurnedPositions>(positions))
    setHeads(b.push(OpKind::TurnPairs, qkv, qkv), attention, layer);
  setHeads(b.push(OpKind::WriteSelfCache, qkv, -1), attention, layer);
  const int context = b.value("context", attention.heads * attention.headDim);
  if (w.relative) {
    Op& op = b.push(OpKind::NgramAttention, qkv, context);
    setHeads(op, attention, layer);
    op.relative = relative;
  } else {
    setHeads(b.push(OpKind::SelfAttention, qkv, context), attention, layer);
  }
  return b.linear("self.out", context, *w.output);
}

int cross(Builder& b, int in, const spec::CrossAttention& attention, const CrossAttentionWeights& w, int cache) {
  const int query = b.linear("cross.query", in, *w.query);
  const int context = b.value("cross.context", attention.heads * attention.headDim);
  setHeads(b.push(OpKind::CrossAttention, query, context), attention, cache);
  return b.linear("cross.out", context, *w.output);
}

// Cross caches come one per block; those of first attentions that read the image follow.
int imageCache(const spec::DecoderSpec& decoder, size_t index) {
  size_t cache = decoder.layers.size();
  for (size_t i = 0; i < index; ++i)
    cache += std::holds_alternative<spec::CrossAttention>(decoder.layers[i].selfAttention);
  return static_cast<int>(cache);
}

void writeCross(Builder& b, int states, const spec::CrossAttention& attention, const CrossAttentionWeights& w,
                int cache) {
  const int kv = b.linear("kv", states, *w.kv);
  setHeads(b.push(OpKind::WriteCrossCache, kv, -1), attention, cache);
}

void adapter(Builder& b, int x, const spec::Adapter& adapter, const AdapterWeights& w) {
  int in = x;
  if (w.norm && adapter.residual == spec::AdapterResidual::Plain) in = b.value("adapted", b.widthOf(x));
  if (w.norm) b.norm(x, in, *w.norm);
  b.add(x, mlp(b, in, adapter.mlp, w.mlp));
}

void decoderLayer(Builder& b, int x, const spec::DecoderSpec& decoder, size_t index, const DecoderLayerWeights& w) {
  const spec::DecoderLayer& layer = decoder.layers[index];
  const int number = static_cast<int>(index);
  residual(b, x, decoder.normPosition, w.selfNorm, [&](int in) {
    if (const auto* image = std::get_if<spec::CrossAttention>(&layer.selfAttention))
      return cross(b, in, *image, std::get<CrossAttentionWeights>(w.selfAttention), imageCache(decoder, index));
    return self(b, in, std::get<spec::SelfAttention>(layer.selfAttention),
                std::get<SelfAttentionWeights>(w.selfAttention), number, decoder.embedding.positions);
  });
  residual(b, x, decoder.normPosition, w.crossNorm,
           [&](int in) { return cross(b, in, layer.crossAttention, w.crossAttention, number); });
  const auto behind = [&] {
    if (layer.adapter) adapter(b, x, *layer.adapter, *w.adapter);
  };
  residual(
      b, x, decoder.normPosition, w.mlpNorm, [&](int in) { return mlp(b, in, layer.mlp, w.mlp); }, behind);
}

// Token rows, then position rows: fusion makes one op of the two where no norm stands between them.
void embed(Builder& b, int x, const spec::DecoderEmbedding& embedding, const ModelWeights& weights) {
  const int rows = embedding.projection ? b.value("embedded", embedding.width) : x;
  const int tokens = embedding.tokenMap ? b.value("token", embedding.width) : rows;
  b.push(OpKind::EmbedTokens, -1, tokens);
  if (embedding.tokenMap) b.linearInto(tokens, rows, *weights.tokenMap);
  if (weights.tokenNorm) b.norm(rows, rows, *weights.tokenNorm);
  if (!weights.decoderPositions.empty()) {
    const int positions = b.value("positions", embedding.width);
    b.push(OpKind::EmbedPositions, -1, positions);
    b.add(rows, positions);
  }
  if (!weights.streamStarts.empty()) b.push(OpKind::EmbedStreams, -1, rows);
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
    const spec::DecoderLayer& layer = spec.decoder.layers[i];
    const DecoderLayerWeights& w = weights.decoderLayers[i];
    writeCross(b, states, layer.crossAttention, w.crossAttention, static_cast<int>(i));
    if (const auto* image = std::get_if<spec::CrossAttention>(&layer.selfAttention))
      writeCross(b, states, *image, std::get<CrossAttentionWeights>(w.selfAttention), imageCache(spec.decoder, i));
  }
  return std::move(b.program);
}

Program lowerDecoder(const spec::DecoderSpec& spec, const ModelWeights& weights) {
  Builder b("decode");
  const int x = b.value("x", spec.hiddenSize, RowKind::Token, !spec.streams);
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
  if (spec.streams) {
    b.program.output = b.value("first", spec.hiddenSize, RowKind::Token, true);
    b.push(OpKind::TakeStream, x, b.program.output);
  }
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
