// Lets the op cases, which hand over host arrays, run unchanged on a backend with memory of its own: every array is
// copied there, the op runs, and what it may write is copied back, row padding included.
#pragma once
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "ops/buffer.h"

namespace ved::test {

class MirrorBackend final : public ops::Backend {
 public:
  explicit MirrorBackend(std::unique_ptr<ops::Backend> device) : device_(std::move(device)) {}

  std::string name() const override { return device_->name(); }
  bool fusesEpilogues() const override { return device_->fusesEpilogues(); }
  int threads() const override { return 1; }
  std::unique_ptr<ops::LinearWeight> makeLinear(int64_t in, int64_t out, bool hasBias, ComputeType type) override {
    return device_->makeLinear(in, out, hasBias, type);
  }
  const float* biasOf(const ops::LinearWeight& weight) const override {
    bias_.resize(static_cast<size_t>(weight.out));
    device_->download(bias_.data(), device_->biasOf(weight), bias_.size());
    return bias_.data();
  }

  void linear(const ops::LinearArgs& a) override {
    Copies m(*device_);
    ops::LinearArgs d = a;
    d.x = m.in(a.x, strided(a.rows, a.ldx, a.weight->in), a.xElement);
    d.y = m.out(a.y, strided(a.rows, a.ldy, a.weight->out), a.yElement);
    d.residual = a.residual == a.y ? d.y : m.in(a.residual, strided(a.rows, a.ldr, a.weight->out));
    device_->linear(d);
  }
  void round(const ops::RoundArgs& a) override {
    Copies m(*device_);
    ops::RoundArgs d = a;
    d.x = m.in(a.x, strided(a.rows, a.ldx, a.width));
    d.y = m.outBytes(a.y, strided(a.rows, a.ldy, a.width) * elementBytes(a.element));
    device_->round(d);
  }
  void layerNorm(const ops::LayerNormArgs& a) override {
    Copies m(*device_);
    ops::LayerNormArgs d = a;
    d.y = m.out(a.y, strided(a.rows, a.ldy, a.width));
    d.x = a.x == a.y ? d.y : m.in(a.x, strided(a.rows, a.ldx, a.width));
    d.rounded = m.outBytes(a.rounded, strided(a.rows, a.ldRounded, a.width) * elementBytes(a.roundedElement));
    m.constant(a.gamma), m.constant(a.beta);
    device_->layerNorm(d);
  }
  void encoderAttention(const ops::EncoderAttentionArgs& a) override {
    Copies m(*device_);
    ops::EncoderAttentionArgs d = a;
    const int64_t width = a.heads * a.headDim, rows = a.batch * a.tokens;
    d.qkv = m.in(a.qkv, rows * storedWidth(3 * width, a.qkvElement), a.qkvElement);
    d.out = m.out(a.out, rows / a.pool * storedWidth(width, a.outElement), a.outElement);
    if (a.bias) m.constant(a.bias->table), m.constant(a.bias->classes);
    device_->encoderAttention(d);
  }
  void cachedAttention(const ops::CachedAttentionArgs& a) override {
    Copies m(*device_);
    ops::CachedAttentionArgs d = a;
    const int64_t width = a.heads * a.headDim;
    int32_t rows = largest(a.slotOfToken, a.tokens) + 1;
    const int32_t slots = a.slots ? largest(a.slots, rows * a.capacity) + 1 : rows;
    d.q = m.in(a.q, strided(a.tokens, a.ldq, width));
    const int64_t cacheBytes = slots * width * a.capacity * ops::cacheElementBytes(a.cacheType);
    d.keys = m.inBytes(a.keys, cacheBytes);
    d.values = m.inBytes(a.values, cacheBytes);
    d.out = m.out(a.out, strided(a.tokens, a.ldo, width), a.outElement);
    if (a.probabilities) d.probabilities = m.out(a.probabilities, a.tokens * a.heads * a.capacity);
    stage({{at(d.slotOfToken), bytes(a.tokens)},
           {at(d.lengthOfToken), bytes(a.tokens)},
           {at(d.slots), a.slots ? bytes(rows * a.capacity) : 0}});
    device_->cachedAttention(d);
  }
  void ngramAttention(const ops::NgramAttentionArgs& n) override {
    Copies m(*device_);
    ops::NgramAttentionArgs d = n;
    const ops::CachedAttentionArgs& a = n.main;
    const int64_t width = a.heads * a.headDim, rows = (1 + n.streams) * a.tokens;
    const int32_t lines = largest(a.slotOfToken, a.tokens) + 1;
    const int32_t slots = a.slots ? largest(a.slots, lines * a.capacity) + 1 : lines;
    const int64_t cacheBytes = slots * width * a.capacity * ops::cacheElementBytes(a.cacheType);
    d.main.q = m.in(a.q, strided(rows, a.ldq, 3 * width));
    d.main.keys = m.inBytes(a.keys, cacheBytes);
    d.main.values = m.inBytes(a.values, cacheBytes);
    d.main.out = m.out(a.out, strided(rows, a.ldo, width));
    d.relative = m.in(n.relative, rows * n.buckets * a.heads);
    m.constant(reinterpret_cast<const float*>(n.bucketOfDistance));
    stage({{at(d.main.slotOfToken), bytes(a.tokens)},
           {at(d.main.lengthOfToken), bytes(a.tokens)},
           {at(d.main.slots), a.slots ? bytes(lines * a.capacity) : 0},
           {at(d.firstOfRun), bytes(a.tokens)},
           {at(d.lengthOfRun), bytes(a.tokens)}});
    device_->ngramAttention(d);
  }
  void writeCache(const ops::WriteCacheArgs& a) override {
    Copies m(*device_);
    ops::WriteCacheArgs d = a;
    const int64_t width = a.heads * a.headDim;
    const int64_t slots = largest(a.slotOfToken, a.tokens) + 1;
    const int64_t cacheBytes = slots * width * a.capacity * ops::cacheElementBytes(a.cacheType);
    d.k = m.in(a.k, strided(a.tokens, a.ldk, width));
    d.v = m.in(a.v, strided(a.tokens, a.ldv, width));
    d.keys = m.outBytes(a.keys, cacheBytes);
    d.values = m.outBytes(a.values, cacheBytes);
    stage({{at(d.slotOfToken), bytes(a.tokens)}, {at(d.positionOfToken), bytes(a.tokens)}});
    device_->writeCache(d);
  }
  void patches(const ops::PatchesArgs& a) override {
    Copies m(*device_);
    ops::PatchesArgs d = a;
    const int64_t rows = a.batch * a.gridH * a.gridW;
    d.pixels = m.in(a.pixels, a.batch * a.channels * a.height * a.width);
    d.patches = m.out(a.patches, rows * storedWidth(a.channels * a.patchH * a.patchW, a.element), a.element);
    device_->patches(d);
  }
  void assembleTokens(const ops::AssembleTokensArgs& a) override {
    Copies m(*device_);
    ops::AssembleTokensArgs d = a;
    d.patches = m.in(a.patches, a.batch * a.patchTokens * a.width);
    d.out = m.out(a.out, a.batch * a.tokens() * a.width);
    m.constant(a.prefixTokens), m.constant(a.suffixTokens), m.constant(a.positions);
    device_->assembleTokens(d);
  }
  void poolTokens(const ops::PoolTokensArgs& a) override {
    Copies m(*device_);
    ops::PoolTokensArgs d = a;
    d.x = m.in(a.x, a.batch * a.tokens * a.width);
    d.y = m.out(a.y, a.batch * (a.tokens / a.groups) * a.width);
    device_->poolTokens(d);
  }
  void addPositions(const ops::AddPositionsArgs& a) override {
    Copies m(*device_);
    ops::AddPositionsArgs d = a;
    d.y = m.out(a.y, a.batch * a.tokens * a.width);
    m.constant(a.positions);
    device_->addPositions(d);
  }
  void embedTokens(const ops::EmbedTokensArgs& a) override {
    Copies m(*device_);
    ops::EmbedTokensArgs d = a;
    d.out = m.out(a.out, a.tokens * a.width);
    d.tableRows = a.ids ? largest(a.ids, a.tokens) + 1 : 1;
    d.positionRows = !a.positions ? 0 : a.positionIds ? largest(a.positionIds, a.tokens) + 1 : 1;
    m.constant(a.table), m.constant(a.positions);
    stage({{at(d.ids), a.ids ? bytes(a.tokens) : 0},
           {at(d.positionIds), a.positions && a.positionIds ? bytes(a.tokens) : 0}});
    device_->embedTokens(d);
  }
  void addBias(const ops::AddBiasArgs& a) override {
    Copies m(*device_);
    ops::AddBiasArgs d = a;
    d.y = m.out(a.y, a.rows * a.width);
    d.bias = m.in(a.bias, a.width);
    device_->addBias(d);
  }
  void activate(const ops::ActivateArgs& a) override {
    Copies m(*device_);
    ops::ActivateArgs d = a;
    d.y = m.out(a.y, a.rows * a.width);
    device_->activate(d);
  }
  void add(const ops::AddArgs& a) override {
    Copies m(*device_);
    ops::AddArgs d = a;
    d.y = m.out(a.y, a.rows * a.width);
    d.x = m.in(a.x, a.rows * a.width);
    device_->add(d);
  }
  void windowAttention(const ops::WindowAttentionArgs& a) override {
    Copies m(*device_);
    ops::WindowAttentionArgs d = a;
    const int64_t width = a.heads * a.headDim, rows = a.batch * a.map.height * a.map.width;
    d.qkv = m.in(a.qkv, rows * storedWidth(3 * width, a.qkvElement), a.qkvElement);
    d.padding = m.in(a.padding, 3 * width);
    d.out = m.out(a.out, rows * storedWidth(width, a.outElement), a.outElement);
    m.constant(a.scale), m.constant(a.bias.table);
    device_->windowAttention(d);
  }
  void mergeCells(const ops::MergeCellsArgs& a) override {
    Copies m(*device_);
    ops::MergeCellsArgs d = a;
    d.in = m.in(a.in, a.batch * a.height * a.width * a.channels);
    d.out = m.out(a.out, a.batch * ((a.height + 1) / 2) * ((a.width + 1) / 2) * 4 * a.channels);
    device_->mergeCells(d);
  }
  void scaleColumns(const ops::ScaleColumnsArgs& a) override {
    Copies m(*device_);
    ops::ScaleColumnsArgs d = a;
    d.y = m.out(a.y, a.rows * a.width);
    m.constant(a.factors);
    device_->scaleColumns(d);
  }
  void rotate(const ops::RotateArgs& a) override {
    Copies m(*device_);
    ops::RotateArgs d = a;
    d.qkv = m.out(a.qkv, a.batch * a.tokens * 3 * a.heads * a.headDim);
    m.constant(a.cosines), m.constant(a.sines);
    device_->rotate(d);
  }
  void turnPairs(const ops::TurnPairsArgs& a) override {
    Copies m(*device_);
    ops::TurnPairsArgs d = a;
    d.qkv = m.out(a.qkv, a.tokens * 3 * a.heads * a.headDim);
    m.constant(a.cosines), m.constant(a.sines);
    stage({{at(d.positionIds), bytes(a.tokens)}});
    device_->turnPairs(d);
  }
  void gate(const ops::GateArgs& a) override {
    Copies m(*device_);
    ops::GateArgs d = a;
    d.x = m.in(a.x, a.rows * 2 * a.width);
    d.y = m.out(a.y, a.rows * storedWidth(a.width, a.yElement), a.yElement);
    device_->gate(d);
  }
  void summarize(const float* logits, int64_t ld, int64_t rows, int64_t vocab, ops::RowSummary* out) override {
    Copies m(*device_);
    device_->summarize(m.in(logits, strided(rows, ld, vocab)), ld, rows, vocab, out);
  }
  bool selects(int64_t vocab) const override { return device_->selects(vocab); }
  void selectTokens(const ops::SelectArgs& a) override {
    Copies m(*device_);
    ops::SelectArgs d = a;
    d.logits = m.in(a.logits, strided(a.rows, a.ld, a.vocab));
    device_->selectTokens(d);
  }
  void selectInPlace(const ops::SelectArgs& a, const ops::SelectDemand& demand) override {
    Copies m(*device_);
    ops::SelectArgs d = a;
    d.logits = m.in(a.logits, strided(a.rows, a.ld, a.vocab));
    d.rowInfo = m.array(a.rowInfo, a.rows);
    d.groups = m.array(a.groups, a.groupCount);
    d.rules = m.array(a.rules, a.ruleWords);
    d.ids = m.array(a.ids, a.lines * a.capacity);
    d.out = m.arrayOut(a.out, a.outCount);
    device_->selectInPlace(d, demand);
  }
  void advanceRows(const ops::AdvanceArgs& a) override {
    Copies m(*device_);
    ops::AdvanceArgs d = a;
    d.rowInfo = m.arrayOut(a.rowInfo, a.rows);
    d.groups = m.array(a.groups, a.groupCount);
    d.rules = m.array(a.rules, a.ruleWords);
    d.choices = m.array(a.choices, a.choiceCount);
    d.ids = m.arrayOut(a.ids, a.lines * a.idCapacity);
    for (int32_t** own : {&d.token, &d.positionId, &d.position, &d.length}) *own = m.arrayOut(*own, a.rows);
    d.row = m.array(a.row, a.rows);
    d.ancestry = m.arrayOut(a.ancestry, a.ancestryLines * a.capacity);
    device_->advanceRows(d);
  }
  bool preparesPixels() const override { return device_->preparesPixels(); }
  void preparePixels(const ops::PreparePixelsArgs& a) override {
    Copies m(*device_);
    std::vector<ops::PixelSource> images(a.images, a.images + a.count);
    for (ops::PixelSource& image : images)
      image.planes = m.out(image.planes, static_cast<int64_t>(image.program->planeValues()));
    device_->preparePixels({images.data(), a.count});
  }

 private:
  // The arrays of one op; results go back to the host when it is over.
  class Copies {
   public:
    explicit Copies(ops::Backend& device) : device_(device) {}
    ~Copies() {
      for (const Back& back : back_) {
        std::vector<float> whole(floatsOf(back.bytes));
        device_.download(whole.data(), back.device, whole.size());
        std::memcpy(back.host, whole.data(), back.bytes);
      }
    }
    float* in(const float* host, int64_t count, Element element = Element::Float32) {
      return inBytes(host, count * elementBytes(element));
    }
    float* out(float* host, int64_t count, Element element = Element::Float32) {
      return outBytes(host, count * elementBytes(element));
    }
    // Devices copy whole floats; an odd number of bfloat16 values ends in half of one.
    float* inBytes(const void* host, int64_t bytes) {
      if (!host) return nullptr;
      std::vector<float> whole(floatsOf(static_cast<size_t>(bytes)));
      if (bytes) std::memcpy(whole.data(), host, static_cast<size_t>(bytes));
      blocks_.push_back(std::make_unique<ops::Buffer>(device_));
      float* device = blocks_.back()->reserve(whole.size());
      device_.upload(device, whole.data(), whole.size());
      return device;
    }
    float* outBytes(void* host, int64_t bytes) {
      float* device = inBytes(host, bytes);
      if (device) back_.push_back({host, device, static_cast<size_t>(bytes)});
      return device;
    }
    // nullptr where there are none.
    template <class T>
    T* array(T* host, int64_t count) {
      return count ? reinterpret_cast<T*>(inBytes(host, count * static_cast<int64_t>(sizeof(T)))) : nullptr;
    }
    template <class T>
    T* arrayOut(T* host, int64_t count) {
      return count ? reinterpret_cast<T*>(outBytes(host, count * static_cast<int64_t>(sizeof(T)))) : nullptr;
    }
    // Constants are copied by the backend itself, once: here their contents change from case to case.
    void constant(const float* host) { device_.forget(host); }

   private:
    struct Back {
      void* host;
      const float* device;
      size_t bytes;
    };
    static size_t floatsOf(size_t bytes) { return (bytes + 3) / 4; }
    ops::Backend& device_;
    std::vector<std::unique_ptr<ops::Buffer>> blocks_;
    std::vector<Back> back_;
  };

  static int64_t strided(int64_t rows, int64_t ld, int64_t width) { return rows ? (rows - 1) * ld + width : 0; }
  static int32_t largest(const int32_t* values, int64_t count) {
    return count ? *std::max_element(values, values + count) : 0;
  }
  static size_t bytes(int64_t count) { return static_cast<size_t>(count) * sizeof(int32_t); }
  static const void** at(const int32_t*& pointer) { return reinterpret_cast<const void**>(&pointer); }
  void stage(std::vector<ops::StagedArray> arrays) { device_->stage(arrays); }

  std::unique_ptr<ops::Backend> device_;
  mutable std::vector<float> bias_;
};

}  // namespace ved::test
