#include "plan/builder.h"

namespace ved::plan {
namespace {

class EncoderLowering {
 public:
  EncoderLowering(const spec::EncoderSpec& spec, const ModelWeights& weights)
      : spec_(spec), w_(weights), b_("encode") {}

  Program run() {
    embed();
    for (stage_ = 0; stage_ < spec_.stages.size(); ++stage_) {
      const spec::EncoderStage& stage = spec_.stages[stage_];
      for (size_t i = 0; i < stage.layers.size(); ++i) {
        encoderLayer(stage.layers[i], w_.encoderLayers[layer_], i == 0 && stage.entry ? &*stage.entry : nullptr);
        ++layer_;
        if (spec_.statesAfter == spec::StatesAfter::Layer) b_.tap(x_);
        if (spec_.layerPositions && layer_ < w_.encoderLayers.size())
          b_.push(OpKind::AddPositions, x_, x_).layer = static_cast<int>(layer_) - 1;
      }
      if (stage.merging) merge(*stage.merging, w_.mergings[stage_]);
      if (spec_.statesAfter == spec::StatesAfter::Stage) b_.tap(x_);
    }
    if (w_.encoderFinalNorm) b_.norm(x_, x_, *w_.encoderFinalNorm);
    b_.program.output = x_;
    return std::move(b_.program);
  }

 private:
  RowKind rows() const { return rowsOfStage(stage_); }
  int64_t width() const { return spec_.stages[stage_].width; }
  // The residual stream of a stage; that of the last one is the program's output.
  int stream(size_t stage) {
    return b_.value("x", spec_.stages[stage].width, rowsOfStage(stage), stage + 1 == spec_.stages.size());
  }

  void embed() {
    const spec::PatchEmbedding& e = spec_.embedding;
    const int patches = b_.value("patches", e.channels * e.patchHeight * e.patchWidth, RowKind::Patch);
    b_.push(OpKind::Patches, -1, patches);
    const int projected =
        b_.linear("patch.embedding", patches, *w_.patchProjection, Activation::Identity, RowKind::Patch);
    if (w_.patchNorm) b_.norm(projected, projected, *w_.patchNorm);
    x_ = stream(0);
    b_.push(OpKind::AssembleTokens, projected, x_);
    if (w_.encoderEmbeddingNorm) b_.norm(x_, x_, *w_.encoderEmbeddingNorm);
    b_.tap(x_);
  }

  // One residual branch. `branch` maps its input value to its output value; `scale` is empty or multiplies the output.
  template <typename Branch>
  void residual(const NormWeights& norm, const std::vector<float>& scale, Branch branch) {
    int in = x_;
    if (spec_.normPosition == spec::NormPosition::Pre) {
      in = b_.value("normed", width(), rows());
      b_.norm(x_, in, norm);
    }
    const int out = branch(in);
    if (!scale.empty()) b_.push(OpKind::Scale, out, out).factors = scale.data();
    if (spec_.normPosition == spec::NormPosition::Branch) b_.norm(out, out, norm);
    b_.add(x_, out);
    if (spec_.normPosition == spec::NormPosition::Post) b_.norm(x_, x_, norm);
  }

  void encoderLayer(const spec::EncoderLayer& layer, const EncoderLayerWeights& w, const spec::StageEntry* entry) {
    if (entry)
      enter(layer, w, *entry);
    else
      residual(w.attentionNorm, w.attentionScale, [&](int in) { return attention(in, layer.attention, w, 1); });
    residual(w.mlpNorm, w.mlpScale, [&](int in) { return mlp(in, layer.mlp, w.mlp); });
  }

  // The first attention of a stage: x_ becomes its residual stream, made of the projected input.
  void enter(const spec::EncoderLayer& layer, const EncoderLayerWeights& w, const spec::StageEntry& entry) {
    const RowKind before = rowsOfStage(stage_ - 1);
    const int64_t pool = entry.poolHeight * entry.poolWidth;
    const int normed = b_.value("normed", spec_.stages[stage_ - 1].width, before);
    b_.norm(x_, normed, w.attentionNorm);
    x_ = stream(stage_);
    if (pool == 1) {
      b_.linearInto(normed, x_, *w_.entries[stage_]);
    } else {
      const int projected = b_.linear("entry", normed, *w_.entries[stage_], Activation::Identity, before);
      b_.push(OpKind::PoolTokens, projected, x_).pool = pool;
    }
    const int out = attention(normed, layer.attention, w, pool);
    if (!w.attentionScale.empty()) b_.push(OpKind::Scale, out, out).factors = w.attentionScale.data();
    b_.add(x_, out);
  }

  int attention(int in, const spec::EncoderAttention& attention, const EncoderLayerWeights& w, int64_t pool) {
    const RowKind read = b_.program.values[static_cast<size_t>(in)].rows;
    const int qkv = b_.linear("qkv", in, *w.attention.qkv, Activation::Identity, read);
    if (std::holds_alternative<spec::RotaryPositions>(spec_.embedding.positions)) {
      Op& turn = b_.push(OpKind::Rotate, qkv, qkv);
      turn.heads = attention.heads;
      turn.headDim = attention.headDim;
    }
    const int context = b_.value("context", attention.heads * attention.headDim, rows());
    const auto* window = std::get_if<spec::WindowSpan>(&attention.span);
    Op& op = b_.push(window ? OpKind::WindowAttention : OpKind::EncoderAttention, qkv, context);
    op.heads = attention.heads;
    op.headDim = attention.headDim;
    op.layer = static_cast<int>(layer_);
    if (window) {
      op.window = window;
      op.encoderLayer = &w;
      op.stage = stage_;
    } else if (const auto* unit = std::get_if<spec::UnitSpan>(&attention.span)) {
      op.scale = static_cast<float>(unit->scale);
      op.unitTokens = unit->tokens;
    } else {
      op.scale = static_cast<float>(std::get<spec::AllSpan>(attention.span).scale);
    }
    op.pool = pool;
    return b_.linear("attention.out", context, *w.attention.output, Activation::Identity, rows());
  }

  int mlp(int in, const spec::EncoderMlp& spec, const MlpWeights& w) {
    if (spec.kind == spec::MlpKind::Plain) {
      const int inner = b_.linear("mlp.up", in, *w.up, spec.activation, rows());
      return b_.linear("mlp.down", inner, *w.down, Activation::Identity, rows());
    }
    const int both = b_.linear("mlp.up", in, *w.up, Activation::Identity, rows());
    const int gated = b_.value("mlp.gated", w.up->out / 2, rows());
    b_.push(OpKind::Gate, both, gated).activation = spec.activation;
    return b_.linear("mlp.down", gated, *w.down, Activation::Identity, rows());
  }

  // Ends the stage: x_ becomes the residual stream of the next one.
  void merge(const spec::PatchMerging& merging, const MergingWeights& w) {
    const RowKind nextRows = rowsOfStage(stage_ + 1);
    const int cells = b_.value("merged", 4 * width(), nextRows);
    b_.push(OpKind::MergeCells, x_, cells).stage = stage_;
    const bool pre = merging.normPosition == spec::NormPosition::Pre;
    if (pre) b_.norm(cells, cells, w.norm);
    const int next = stream(stage_ + 1);
    if (pre) {
      b_.linearInto(cells, next, *w.reduction);
    } else {
      const int reduced = b_.linear("reduction", cells, *w.reduction, Activation::Identity, nextRows);
      b_.norm(reduced, next, w.norm);
    }
    x_ = next;
  }

  const spec::EncoderSpec& spec_;
  const ModelWeights& w_;
  Builder b_;
  int x_ = -1;
  size_t stage_ = 0, layer_ = 0;
};

}  // namespace

Program lowerEncoder(const spec::EncoderSpec& spec, const ModelWeights& weights) {
  return EncoderLowering(spec, weights).run();
}

}  // namespace ved::plan
