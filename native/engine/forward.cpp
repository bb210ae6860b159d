// forward(): one whole pass over given ids, with the hidden states and attentions that were asked for. It uses caches
// of its own, so it never waits for rows.
#include <algorithm>

#include "core/error.h"
#include "engine/worker.h"

namespace ved::engine {
namespace {

struct ForwardTokens {
  std::vector<int32_t> ids, positionIds, row, position, length, crossLength, ancestry;
  std::vector<const uint8_t*> masks;
};

ForwardTokens flatten(const ForwardRequest& request, const Model& model, int64_t steps) {
  ForwardTokens t;
  const int64_t batch = static_cast<int64_t>(request.ids.size());
  for (int64_t r = 0; r < batch; ++r) {
    const std::vector<int32_t>& ids = request.ids[static_cast<size_t>(r)];
    std::vector<int32_t> positionIds(ids.size());
    model.positionIds(ids.data(), steps, 0, positionIds.data());
    for (int64_t p = 0; p < steps; ++p) {
      t.ids.push_back(ids[static_cast<size_t>(p)]);
      t.positionIds.push_back(positionIds[static_cast<size_t>(p)]);
      t.row.push_back(static_cast<int32_t>(r));
      t.position.push_back(static_cast<int32_t>(p));
      t.length.push_back(static_cast<int32_t>(p) + 1);
      t.ancestry.push_back(static_cast<int32_t>(r));
      if (!request.mask.empty()) t.masks.push_back(request.mask[static_cast<size_t>(r)].data());
    }
  }
  return t;
}

// [blocks, tokens, heads, S] with token = row * steps + step -> [batch, heads, blocks * steps, S]
std::vector<float> headsFirst(const std::vector<float>& in, const ForwardResult& r, int64_t heads) {
  const int64_t length = r.encoderTokens, blocks = r.attentionSteps / r.steps;
  std::vector<float> out(in.size());
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t b = 0; b < r.batch; ++b)
      for (int64_t s = 0; s < r.steps; ++s)
        for (int64_t h = 0; h < heads; ++h)
          std::copy_n(in.data() + (((block * r.batch + b) * r.steps + s) * heads + h) * length, length,
                      out.data() + ((b * heads + h) * r.attentionSteps + block * r.steps + s) * length);
  return out;
}

void encodeImages(Model& model, const ForwardRequest& request, ForwardResult& result, ops::Buffer& states,
                  const std::atomic<bool>& stop) {
  const Pixels& pixels = request.pixels;
  std::vector<ImageOf> images;
  for (int64_t i = 0; i < pixels.batch; ++i) images.push_back({&pixels, i});
  RunPixels values(model.backend());
  const size_t floats = static_cast<size_t>(result.batch * result.encoderTokens * model.spec().encoder.hiddenSize);
  states.reserve(floats);
  plan::Bindings b;
  b.stop = &stop;
  if (request.hiddenStates) b.taps = &result.encoderHidden;
  values.bind(images, b);
  model.encode(pixels.batch, pixels.height, pixels.width, states.data(), b);
  result.states = states.toHost(floats);
}

void fillCross(Model& model, const ForwardResult& result, const ops::Buffer& states, SlotCache& cross,
               const std::atomic<bool>& stop) {
  std::vector<int32_t> slots, positions;
  for (int64_t i = 0; i < result.batch; ++i) {
    for (int64_t t = 0; t < result.encoderTokens; ++t) {
      slots.push_back(static_cast<int32_t>(i));
      positions.push_back(static_cast<int32_t>(t));
    }
  }
  plan::Bindings b;
  b.stop = &stop;
  b.tokens = result.batch * result.encoderTokens;
  b.crossSlot = slots.data();
  b.crossPosition = positions.data();
  b.crossCache = &cross.view();
  model.fillCross(states.data(), b);
}

// Mean cross-entropy over the labels that are not -100, without a further shift (transformers 5,
// modeling_vision_encoder_decoder.py).
double crossEntropy(Model& model, const ForwardResult& result, const ops::Buffer& logits,
                    const std::vector<std::vector<int32_t>>& labels) {
  const int64_t vocab = model.spec().decoder.vocabSize;
  const int64_t rows = result.batch * result.steps;
  std::vector<ops::RowSummary> summaries(static_cast<size_t>(rows));
  model.backend().summarize(logits.data(), vocab, rows, vocab, summaries.data());
  double sum = 0;
  int64_t counted = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int32_t label = labels[static_cast<size_t>(row / result.steps)][static_cast<size_t>(row % result.steps)];
    if (label == -100) continue;
    sum += static_cast<double>(summaries[static_cast<size_t>(row)].logSumExp) -
           static_cast<double>(result.logits[static_cast<size_t>(row * vocab + label)]);
    ++counted;
  }
  return sum / static_cast<double>(counted);
}

}  // namespace

void Engine::Worker::forward(ForwardRequest& request) {
  ForwardResult result;
  result.batch = static_cast<int64_t>(request.ids.size());
  result.steps = static_cast<int64_t>(request.ids.front().size());
  const spec::DecoderSpec& decoder = model_.spec().decoder;
  ops::Backend& backend = model_.backend();
  ops::Buffer states(backend), hidden(backend), logits(backend);
  if (request.states.empty()) {
    result.encoderTokens = model_.encoderTokens(request.pixels.height, request.pixels.width);
    encodeImages(model_, request, result, states, stop_);
  } else {
    result.encoderTokens = request.encoderTokens;
    result.states = request.states;
    backend.upload(states.reserve(request.states.size()), request.states.data(), request.states.size());
  }
  SlotCache cross(backend, model_.crossWidths(), result.batch, result.encoderTokens, model_.cacheType());
  SlotCache self(backend, model_.selfWidths(), result.batch, result.steps, model_.cacheType());
  fillCross(model_, result, states, cross, stop_);

  result.attentionSteps = result.steps * (decoder.streams ? 1 + decoder.streams->count : 1);
  ForwardTokens t = flatten(request, model_, result.steps);
  t.crossLength.assign(t.ids.size(), static_cast<int32_t>(result.encoderTokens));
  plan::Bindings b;
  b.stop = &stop_;
  b.tokens = result.batch * result.steps;
  b.ids = t.ids.data();
  b.positionIds = t.positionIds.data();
  b.row = b.slot = b.crossSlot = t.row.data();
  b.position = t.position.data();
  b.length = t.length.data();
  b.crossLength = t.crossLength.data();
  b.ancestry = t.ancestry.data();
  b.ancestryRows = result.batch;
  b.masks = t.masks.empty() ? nullptr : t.masks.data();
  b.selfCache = &self.view();
  b.crossCache = &cross.view();
  if (request.hiddenStates) b.taps = &result.decoderHidden;
  std::vector<std::vector<float>> probabilities(request.attentions ? decoder.layers.size() : 0);
  if (request.attentions) b.crossProbabilities = &probabilities;
  model_.decode(hidden.reserve(static_cast<size_t>(b.tokens * decoder.hiddenSize)), b);
  const size_t logitCount = static_cast<size_t>(b.tokens * decoder.vocabSize);
  model_.head(hidden.data(), b.tokens, logits.reserve(logitCount));
  result.logits = logits.toHost(logitCount);
  if (!request.labels.empty()) result.loss = crossEntropy(model_, result, logits, request.labels);
  for (size_t i = 0; i < probabilities.size(); ++i)
    result.crossAttentions.push_back(headsFirst(probabilities[i], result, decoder.layers[i].crossAttention.heads));
  request.onDone(std::move(result));
}

}  // namespace ved::engine
