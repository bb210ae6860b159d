#include "program.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "geometry.h"
#include "resize.h"

namespace ved::image {
namespace {

/// Thrown inside this file alone: a step that no program has.
struct NotCovered {};

class Builder {
 public:
  Builder(int width, int height, int channels) {
    checkedBytes(width, height, channels);
    program_.channels = channels;
    program_.inWidth = width;
    program_.inHeight = height;
    lookAt({width, height});
  }

  void operator()(const ResizeStep& s) {
    checkedBytes(s.width, s.height, program_.channels);
    const Extent out{static_cast<int>(s.width), static_cast<int>(s.height)};
    const bool pillow = s.arithmetic == Arithmetic::kPillow;
    const auto passes =
        pillow ? resizePasses(seen_, out, s.filter, s.reducingGap) : torchvisionPasses(seen_, out, s.filter);
    for (const ResizePass& pass : passes) {
      settle();
      add(pass);
    }
  }
  void operator()(const CropStep& s) {
    const bool fits = s.x >= 0 && s.y >= 0 && s.width >= 1 && s.height >= 1 && s.width <= seen_.width &&
                      s.height <= seen_.height && s.x <= seen_.width - s.width && s.y <= seen_.height - s.height;
    if (!fits) throw NotCovered{};
    cut(static_cast<int>(s.x), static_cast<int>(s.y), static_cast<int>(s.width), static_cast<int>(s.height));
  }
  void operator()(const CenterCropStep& s) {
    checkedBytes(s.width, s.height, program_.channels);
    const auto [width, height] = std::pair(static_cast<int>(s.width), static_cast<int>(s.height));
    const int missingX = std::max(width - seen_.width, 0), missingY = std::max(height - seen_.height, 0);
    cut(std::max(seen_.width - width, 0) / 2, std::max(seen_.height - height, 0) / 2, std::min(width, seen_.width),
        std::min(height, seen_.height));
    const bool largerFirst = s.arithmetic == Arithmetic::kPillow;
    const auto before = [&](int missing) { return largerFirst ? (missing + 1) / 2 : missing / 2; };
    surround(before(missingX), before(missingY), width, height, 0);
  }
  void operator()(const PadStep& s) {
    for (const std::int64_t margin : {s.left, s.top, s.right, s.bottom})
      if (margin < 0 || margin > kMaxSide) throw NotCovered{};
    const std::int64_t width = seen_.width + s.left + s.right, height = seen_.height + s.top + s.bottom;
    checkedBytes(width, height, program_.channels);
    surround(static_cast<int>(s.left), static_cast<int>(s.top), static_cast<int>(width), static_cast<int>(height),
             s.value);
  }
  void operator()(const PadCenteredStep& s) {
    checkedBytes(s.width, s.height, program_.channels);
    if (s.width < seen_.width || s.height < seen_.height) throw NotCovered{};
    const auto [width, height] = std::pair(static_cast<int>(s.width), static_cast<int>(s.height));
    surround((width - seen_.width) / 2, (height - seen_.height) / 2, width, height, s.value);
  }
  void operator()(const Rotate90Step& s) {
    constexpr int orientationOf[] = {1, 6, 3, 8};
    turn(orientationOf[((s.turns % 4) + 4) % 4]);
  }
  void operator()(const OrientStep& s) { turn(s.orientation); }
  template <class Other>
  void operator()(const Other&) {
    throw NotCovered{};
  }

  PixelProgram finish(const Normalization& by) {
    program_.levels = levelValues(by, program_.channels);
    program_.width = seen_.width;
    program_.height = seen_.height;
    program_.view = view_;
    return std::move(program_);
  }

 private:
  bool whole() const { return view_.width == seen_.width && view_.height == seen_.height; }
  bool plain() const {
    return whole() && seen_.width == stored_.width && seen_.height == stored_.height && view_.start == 0 &&
           view_.stepX == 1 && view_.stepY == stored_.width;
  }
  void lookAt(Extent image) {
    stored_ = seen_ = image;
    view_ = {0, 1, image.width, 0, 0, image.width, image.height, 0};
  }
  /// Makes an image of what is only seen so far.
  void settle() {
    if (plain()) return;
    PixelPass pass = passTo(PixelPassKind::View, seen_);
    pass.view = view_;
    append(pass);
  }
  PixelPass passTo(PixelPassKind kind, Extent out) const {
    PixelPass pass;
    pass.kind = kind;
    pass.inWidth = stored_.width, pass.inHeight = stored_.height;
    pass.width = out.width, pass.height = out.height;
    return pass;
  }
  void append(const PixelPass& pass) {
    checkedBytes(pass.width, pass.height, program_.channels);
    program_.passes.push_back(pass);
    lookAt({pass.width, pass.height});
  }
  std::int64_t keep(const std::vector<std::int32_t>& words) {
    const auto at = static_cast<std::int64_t>(program_.words.size());
    program_.words.insert(program_.words.end(), words.begin(), words.end());
    return at;
  }
  void addTaps(PixelPass& pass, const Taps& taps) {
    pass.bits = taps.bits, pass.stride = taps.stride;
    pass.first = keep(taps.first), pass.count = keep(taps.count), pass.weights = keep(taps.weight);
  }
  void add(const ResizePass& one) {
    const Extent out = extentAfter(one, stored_);
    PixelPass pass = passTo(PixelPassKind::Reduce, out);
    if (const auto* reduced = std::get_if<ReducePass>(&one)) pass.factorX = reduced->fx, pass.factorY = reduced->fy;
    if (const auto* rows = std::get_if<RowsPass>(&one)) pass.kind = PixelPassKind::Rows, addTaps(pass, rows->taps);
    if (const auto* columns = std::get_if<ColumnsPass>(&one))
      pass.kind = PixelPassKind::Columns, addTaps(pass, columns->taps);
    if (const auto* picked = std::get_if<PickPass>(&one)) {
      pass.kind = PixelPassKind::Pick;
      pass.first = keep(picked->columns), pass.count = keep(picked->rows);
    }
    append(pass);
  }

  /// The part [x, x + width) x [y, y + height) of what is seen.
  void cut(int x, int y, int width, int height) {
    const auto axis = [](int skip, int size, std::int32_t& at, std::int32_t& shown) {
      const int hidden = std::min(std::max(skip - at, 0), shown);  // of the pixels, not of the margin
      at = std::max(at - skip, 0);
      shown = std::max(std::min(shown - hidden, size - at), 0);
      return hidden;
    };
    const int left = axis(x, width, view_.left, view_.width), top = axis(y, height, view_.top, view_.height);
    view_.start += left * view_.stepX + top * view_.stepY;
    seen_ = {width, height};
  }
  /// width x height of `value`, with what is seen at (left, top).
  void surround(int left, int top, int width, int height, std::uint8_t value) {
    if (width == seen_.width && height == seen_.height) return;
    if (!whole() && view_.fill != value) settle();
    view_.left += left, view_.top += top;
    view_.fill = value;
    seen_ = {width, height};
  }
  void turn(int orientation) {
    settle();
    const Walk walk = walkOf(seen_.width, seen_.height, orientation);
    if (walk.swapSides) std::swap(seen_.width, seen_.height);
    view_ = {walk.start, walk.stepX, walk.stepY, 0, 0, seen_.width, seen_.height, 0};
  }

  PixelProgram program_;
  Extent stored_{}, seen_{};  // the image that the last pass leaves, and what the view shows of it
  PixelView view_;
};

}  // namespace

std::optional<PixelProgram> programOf(int width, int height, int channels, const std::vector<Step>& steps) {
  if (steps.empty() || steps.size() > kMaxSteps) return std::nullopt;
  const auto* last = std::get_if<NormalizeStep>(&steps.back());
  if (last == nullptr) return std::nullopt;
  try {
    Builder builder(width, height, channels);
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) std::visit(builder, steps[i]);
    return builder.finish(last->by);
  } catch (const NotCovered&) {
    return std::nullopt;
  } catch (const std::invalid_argument&) {
    return std::nullopt;  // applySteps() says why
  }
}

}  // namespace ved::image
