// Sizes of encoder runs: the wave model against figures worked out by hand.
#include "plan/micro_batch.h"
#include "harness.h"

using namespace ved::plan;

namespace {

std::vector<ImageProduct> vit(int64_t tokens, int64_t width, int64_t inner) {
  return {{tokens, width, 3 * width}, {tokens, width, width}, {tokens, width, inner}, {tokens, inner, width}};
}

std::vector<ImageProduct> swin(int64_t height, int64_t width) {
  std::vector<ImageProduct> all;
  const int depths[] = {2, 2, 14, 2};
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t rows = (height >> stage) * (width >> stage), c = int64_t{128} << stage;
    for (int layer = 0; layer < depths[stage]; ++layer)
      all.insert(all.end(), {{rows, c, 3 * c}, {rows, c, c}, {rows, c, 4 * c}, {rows, 4 * c, c}});
  }
  return all;
}

}  // namespace

VED_TEST(micro_batch_wave_model) {
  // 28 images of 197 tokens: 44 tiles of rows; 18, 6, 24 and 6 of outputs; 264 at a time: 3, 1, 4 and 1 full waves.
  checkClose(waveEfficiency(vit(197, 768, 3072), 28, 132), 5516.0 / (44 * 128), 1e-12, "28 images");
  // One tile on one multiprocessor of two places.
  checkClose(waveEfficiency({{64, 100, 128}}, 1, 1), 0.25, 1e-12, "a quarter");
  CHECK_EQ(waveEfficiency({}, 3, 132), 1.0);
}

VED_TEST(micro_batch_images) {
  CHECK_EQ(imagesPerRun(vit(197, 768, 3072), 132), 28);
  CHECK_EQ(imagesPerRun(vit(577, 768, 3072), 132), 19);
  CHECK_EQ(imagesPerRun(swin(224, 168), 132), 7);  // Nougat
  CHECK_EQ(imagesPerRun(swin(640, 480), 132), 1);  // Donut: 307,200 rows are one image
  CHECK_EQ(imagesPerRun({}, 132), 1);
  CHECK_EQ(imagesPerRun({{int64_t{1} << 40, 1, 1}}, 132), 1);
}

VED_TEST(micro_batch_is_nearly_the_best) {
  for (const int64_t multiprocessors : {1, 4, 20, 46, 84, 108, 132, 148, 170})
    for (const int64_t tokens : {17, 50, 197, 577, 1370}) {
      const auto products = vit(tokens, 384, 1536);
      const int64_t chosen = imagesPerRun(products, multiprocessors);
      CHECK(chosen >= 1 && chosen <= kMaxImages);
      for (int64_t images = 1; images <= kMaxImages; ++images)
        CHECK(waveEfficiency(products, chosen, multiprocessors) >=
              kGoodEnough * waveEfficiency(products, images, multiprocessors));
    }
}
