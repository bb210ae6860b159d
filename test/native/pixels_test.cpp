// Pixel values computed by backends: the bits of native/image for random steps on images of random sizes.
#include "ops/pixels.h"

#include <numeric>

#include "image/program.h"
#include "image/steps.h"
#include "op_support.h"
#include "ops/buffer.h"
#include "ops/cuda/cuda_backend.h"

using namespace ved;
using namespace ved::image;
using namespace ved::test;

namespace {

constexpr Arithmetic kArithmetics[] = {Arithmetic::kPillow, Arithmetic::kTorchvision};

std::vector<std::unique_ptr<ops::Backend>> preparingBackends() {
  std::vector<std::unique_ptr<ops::Backend>> all;
  all.push_back(ops::makeReferenceBackend());
  for (const Target& target : targets())
    if (auto backend = target.make(1); backend->preparesPixels()) all.push_back(std::move(backend));
  return all;
}

Image noise(Random& random, int width, int height, int channels) {
  Image image = makeImage(width, height, channels);
  for (auto& value : image.data) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

Step someResize(Random& random) {
  const Arithmetic arithmetic = kArithmetics[random.below(2)];
  const bool pillow = arithmetic == Arithmetic::kPillow;
  const auto side = [&] { return 1 + random.below(random.below(4) ? 30 : 90); };
  const double gap = pillow && random.below(3) == 0 ? random.uniform(1.0f, 3.0f) : 0.0;
  return ResizeStep{side(), side(), filterFromPillow(static_cast<int>(random.below(pillow ? 6 : 4))), gap, arithmetic};
}

// A step that fits an image of this size.
Step someStep(Random& random, const Image& now) {
  const auto part = [&](int side) { return 1 + random.below(side); };
  switch (random.below(7)) {
    case 0: {
      const std::int64_t width = part(now.width), height = part(now.height);
      return CropStep{random.below(now.width - width + 1), random.below(now.height - height + 1), width, height};
    }
    case 1:
      return CenterCropStep{1 + random.below(40), 1 + random.below(40), kArithmetics[random.below(2)]};
    case 2:
      return PadStep{random.below(5), random.below(5), random.below(5), random.below(5),
                     static_cast<std::uint8_t>(random.below(3) * 100)};
    case 3:
      return PadCenteredStep{now.width + random.below(9), now.height + random.below(9),
                             static_cast<std::uint8_t>(random.below(256))};
    case 4:
      return Rotate90Step{static_cast<int>(random.below(9)) - 4};
    case 5:
      return OrientStep{1 + static_cast<int>(random.below(8))};
    default:
      return someResize(random);
  }
}

NormalizeStep someValues(Random& random, int channels) {
  Normalization by;
  by.arithmetic = kArithmetics[random.below(2)];
  if (random.below(4)) by.rescale = 1.0 / 255;
  for (int c = 0; c < channels && (by.rescale || random.below(2)); ++c) {
    by.mean.push_back(random.uniform(0.1f, 0.9f));
    by.std.push_back(random.uniform(0.1f, 0.9f));
  }
  if (by.mean.size() != static_cast<std::size_t>(channels)) by.mean.clear(), by.std.clear();
  return {by};
}

// An image, its steps, and what native/image makes of them.
struct Work {
  Image image;
  std::vector<Step> steps;
  PixelProgram program;
  std::vector<float> want;
  std::unique_ptr<Guarded> got;
};

Work finishWork(Image image, std::vector<Step> steps) {
  const auto program = programOf(image.width, image.height, image.channels, steps);
  if (!CHECK(program.has_value())) throw std::runtime_error("no program");
  const auto planes = std::get<Planes>(applySteps(image, steps));
  CHECK_EQ(program->width, planes.width);
  CHECK_EQ(program->height, planes.height);
  CHECK_EQ(program->planeValues(), planes.data.size());
  auto got = std::make_unique<Guarded>(planes.data.size());
  return {std::move(image), std::move(steps), *program, planes.data, std::move(got)};
}

Work someWork(Random& random, int most) {
  const int channels = random.below(3) ? 3 : 1 + static_cast<int>(random.below(4));
  const bool tall = random.below(8) == 0;  // columns first
  const int width = tall ? 1 + static_cast<int>(random.below(2)) : 1 + static_cast<int>(random.below(most));
  const int height =
      tall ? width * 100 + 1 + static_cast<int>(random.below(60)) : 1 + static_cast<int>(random.below(most));
  Image image = noise(random, width, height, channels), now = image;
  std::vector<Step> steps;
  for (std::int64_t n = random.below(5); n > 0; --n) {
    steps.push_back(steps.empty() && random.below(2) ? someResize(random) : someStep(random, now));
    now = std::get<Image>(applySteps(now, {steps.back()}));
  }
  steps.push_back(someValues(random, channels));
  return finishWork(std::move(image), std::move(steps));
}

void checkWorks(ops::Backend& backend, std::vector<Work>& works, const std::string& what) {
  std::vector<ops::PixelSource> sources;
  for (Work& work : works) {
    std::fill_n(work.got->data(), work.got->size(), -7.0f);
    sources.push_back({work.image.data.data(), &work.program, work.got->data()});
  }
  backend.preparePixels({sources.data(), static_cast<int64_t>(sources.size())});
  for (std::size_t i = 0; i < works.size(); ++i) {
    const bool same = sameBits(works[i].got->data(), works[i].want.data(), works[i].want.size());
    if (!CHECK(same && works[i].got->intact()))
      fail(__FILE__, __LINE__,
           backend.name() + " " + what + ": image " + std::to_string(i) + " of " + std::to_string(works.size()));
  }
}

}  // namespace

VED_TEST(pixels_equal_host) {
  for (const auto& backend : preparingBackends()) {
    Random random(71);
    for (int round = 0; round < 60; ++round) {
      std::vector<Work> works;
      for (std::int64_t n = 1 + random.below(4); n > 0; --n) works.push_back(someWork(random, 60));
      checkWorks(*backend, works, "round " + std::to_string(round));
    }
  }
}

// The lists of the image processors, on sizes that shrink, grow and keep an axis.
VED_TEST(pixels_equal_host_processors) {
  Random random(72);
  const auto works = [&] {
    std::vector<Work> all;
    for (const auto& [width, height] : {std::pair{97, 41}, {24, 24}, {11, 70}, {24, 9}}) {
      const NormalizeStep values = someValues(random, 3);
      for (int filter = 0; filter < 6; ++filter)
        all.push_back(
            finishWork(noise(random, width, height, 3), {ResizeStep{24, 24, filterFromPillow(filter), 0.0}, values}));
      all.push_back(finishWork(noise(random, width, height, 3),
                               {ResizeStep{30, 30, Filter::kBicubic, 0.0}, CenterCropStep{24, 24}, values}));
      all.push_back(finishWork(noise(random, width, height, 3),
                               {Rotate90Step{1}, ResizeStep{20, 31, Filter::kBilinear, 0.0},
                                ResizeStep{16, 24, Filter::kBicubic, 2.0}, PadCenteredStep{20, 26, 0}, values}));
      all.push_back(finishWork(noise(random, width, height, 3), {values}));
    }
    return all;
  }();
  for (const auto& backend : preparingBackends()) {
    auto mine = std::vector<Work>();
    for (const Work& work : works) mine.push_back(finishWork(work.image, work.steps));
    checkWorks(*backend, mine, "processors");
  }
}

VED_TEST(pixels_of_no_image) {
  for (const auto& backend : preparingBackends()) {
    backend->preparePixels({nullptr, 0});
    CHECK(true);
  }
}

// Groups that do not fit together follow each other through the same memory.
VED_TEST(pixels_in_groups) {
  if (!emulatedCuda().api) SKIP("the emulator is built on Linux only");
  cuda::CudaBackend backend(*emulatedCuda().api, 0);
  backend.limitPixelBytes(20000);
  Random random(73);
  std::vector<Work> works;
  for (int i = 0; i < 9; ++i) works.push_back(someWork(random, 80));
  std::vector<std::unique_ptr<ops::Buffer>> planes;
  std::vector<ops::PixelSource> sources;
  for (Work& work : works) {
    planes.push_back(std::make_unique<ops::Buffer>(backend));
    sources.push_back({work.image.data.data(), &work.program, planes.back()->reserve(work.want.size())});
  }
  backend.preparePixels({sources.data(), static_cast<int64_t>(sources.size())});
  for (std::size_t i = 0; i < works.size(); ++i) CHECK(planes[i]->toHost(works[i].want.size()) == works[i].want);
}

VED_TEST(pixels_programs) {
  const NormalizeStep values;
  const auto has = [](std::vector<Step> steps) { return programOf(10, 8, 3, steps).has_value(); };
  CHECK(has({values}));
  CHECK(!has({}));
  CHECK(!has({Rotate90Step{1}}));
  CHECK(!has({values, values}));
  CHECK(!has({ToGrayStep{}, ToRgbStep{}, values}));
  CHECK(!has({CropMarginStep{200}, values}));
  CHECK(!has({FillTransparentStep{{1, 2, 3}}, values}));
  CHECK(!has({CmykToRgbStep{}, values}));
  // What applySteps() refuses.
  CHECK(!has({CropStep{5, 5, 6, 1}, values}));
  CHECK(!has({PadCenteredStep{9, 9, 0}, values}));
  CHECK(!has({PadStep{INT64_MAX, 0, INT64_MAX, 0, 0}, values}));
  CHECK(!has({OrientStep{9}, values}));
  CHECK(!has({ResizeStep{std::int64_t{1} << 33, 1, Filter::kBox, 0.0}, values}));
  CHECK(!has({ResizeStep{kMaxSide, kMaxSide, Filter::kBox, 0.0}, values}));
  CHECK(!has({ResizeStep{4, 4, Filter::kBox, 0.5}, values}));
  CHECK(!has({ResizeStep{4, 4, Filter::kBox, 0.0, Arithmetic::kTorchvision}, values}));
  CHECK(!has({NormalizeStep{{1.0, {0.5}, {0.5}}}}));
  CHECK(!programOf(0, 4, 3, {values}) && !programOf(4, 4, 5, {values}));
  // Crops and pads at the end cost nothing: they are seen, not made.
  const auto program =
      programOf(40, 30, 3, {ResizeStep{20, 20, Filter::kBilinear, 0.0}, CenterCropStep{12, 28}, values});
  CHECK_EQ(program->passes.size(), size_t{2});
}
