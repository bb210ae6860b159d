// Image steps without Node. Bit-equality with Pillow over many sizes is checked from TypeScript against golden hashes;
// here are values worked out by hand, identities and hostile sizes.
#include <stdexcept>
#include <vector>

#include "harness.h"
#include "image/colour.h"
#include "image/geometry.h"
#include "image/resize.h"
#include "image/steps.h"

using namespace ved::test;
using namespace ved::image;

namespace {

Image noise(int width, int height, int channels, std::uint64_t seed) {
  Random random(seed);
  Image image = makeImage(width, height, channels);
  for (auto& value : image.data) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

Image numbered(int width, int height) {
  Image image = makeImage(width, height, 1);
  for (std::size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<std::uint8_t>(i);
  return image;
}

using Bytes = std::vector<std::uint8_t>;

}  // namespace

VED_TEST(image_resize_by_hand) {
  const Image pair = fromPixels({0, 100}, 2, 1, 1);
  CHECK(resize(pair, 1, 1, Filter::kBilinear).data == Bytes{50});
  CHECK((resize(pair, 4, 1, Filter::kBilinear).data == Bytes{0, 25, 75, 100}));
  CHECK((resize(pair, 4, 1, Filter::kNearest).data == Bytes{0, 0, 100, 100}));
  CHECK((resize(pair, 4, 1, Filter::kBox).data == Bytes{0, 0, 100, 100}));
}

VED_TEST(image_resize_keeps_constants_and_size) {
  for (int number = 0; number < 6; ++number) {
    Image flat = makeImage(13, 7, 3);
    std::fill(flat.data.begin(), flat.data.end(), std::uint8_t{201});
    const Image out = resize(flat, 5, 29, filterFromPillow(number));
    CHECK(out.data == Bytes(5 * 29 * 3, 201));
    const Image same = noise(9, 8, 4, 3);
    CHECK(resize(same, 9, 8, filterFromPillow(number), 2.0).data == same.data);
  }
}

VED_TEST(image_resize_torchvision) {
  const Image pair = fromPixels({0, 100}, 2, 1, 1);
  CHECK((resizeTorchvision(pair, 4, 1, Filter::kBilinear).data == Bytes{0, 25, 75, 100}));
  CHECK((resizeTorchvision(pair, 4, 1, Filter::kNearest).data == Bytes{0, 0, 100, 100}));
  CHECK_THROWS(resizeTorchvision(pair, 4, 1, Filter::kBox));
  const Image same = noise(9, 8, 3, 3);
  CHECK(resizeTorchvision(same, 9, 8, Filter::kLanczos).data == same.data);
}

VED_TEST(image_reduce_edges) {
  const Image out = reduce(numbered(5, 3), 2, 2);  // rows 0..4, 5..9, 10..14
  CHECK_EQ(out.width, 3);
  CHECK_EQ(out.height, 2);
  CHECK((out.data == Bytes{3, 5, 7, 11, 13, 14}));
}

VED_TEST(image_orientations) {
  const Image image = numbered(3, 2);
  const Bytes want[] = {{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
                        {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (int o = 1; o <= 8; ++o) {
    const Image out = orient(image, o);
    CHECK(out.data == want[o - 1]);
    CHECK_EQ(out.width, o >= 5 ? 2 : 3);
  }
  CHECK(rotate90(image, 1).data == want[5]);
  CHECK(rotate90(image, -1).data == want[7]);
  CHECK(rotate90(rotate90(image, 2), 2).data == image.data);
}

VED_TEST(image_crop_and_pad) {
  const Image image = numbered(3, 2);
  CHECK((crop(image, 1, 0, 2, 2).data == Bytes{1, 2, 4, 5}));
  CHECK((centerCrop(image, 1, 2).data == Bytes{1, 4}));
  CHECK((centerCrop(image, 4, 1).data == Bytes{0, 0, 1, 2}));                  // larger half left
  CHECK((padCentered(image, 4, 2, 9).data == Bytes{0, 1, 2, 9, 3, 4, 5, 9}));  // larger half right
  CHECK((pad(fromPixels({5}, 1, 1, 1), {1, 0, 0, 1}, 7).data == Bytes{7, 5, 7, 7}));
}

VED_TEST(image_colours) {
  CHECK((toRgb(fromPixels({7}, 1, 1, 1)).data == Bytes{7, 7, 7}));
  CHECK((toRgb(fromPixels({7, 0}, 1, 1, 2)).data == Bytes{7, 7, 7}));
  CHECK((toRgb(fromPixels({1, 2, 3, 0}, 1, 1, 4)).data == Bytes{1, 2, 3}));
  CHECK((cmykToRgb(fromPixels({0, 255, 128, 55}, 1, 1, 4)).data == Bytes{200, 0, 100}));
  CHECK((toGray(fromPixels({255, 0, 0}, 1, 1, 3)).data == Bytes{76}));
  CHECK((fillTransparent(fromPixels({1, 2, 3, 0, 4, 5, 6, 1}, 2, 1, 4), {9, 8, 7}).data == Bytes{9, 8, 7, 4, 5, 6}));
}

VED_TEST(image_crop_margin) {
  Image page = makeImage(6, 5, 1);
  std::fill(page.data.begin(), page.data.end(), std::uint8_t{250});
  CHECK_EQ(cropMargin(page, 200).width, 6);
  page.row(1)[2] = 10;
  page.row(3)[4] = 30;
  const Image out = cropMargin(page, 200);
  CHECK_EQ(out.width, 3);
  CHECK_EQ(out.height, 3);
}

VED_TEST(image_hostile_sizes) {
  const Image small = noise(4, 4, 3, 1);
  CHECK_THROWS(makeImage(0, 1, 1));
  CHECK_THROWS(makeImage(1, -1, 1));
  CHECK_THROWS(makeImage(1, 1, 5));
  CHECK_THROWS(makeImage(kMaxSide, kMaxSide, 4));
  CHECK_THROWS(makeImage(std::int64_t{1} << 62, 4, 1));
  CHECK_THROWS(fromPixels(Bytes(11), 2, 2, 3));
  CHECK_THROWS(resize(small, kMaxSide, kMaxSide, Filter::kBicubic));
  CHECK_THROWS(resize(small, 2, 2, Filter::kBicubic, 0.5));
  CHECK_THROWS(resizeBox(small, 2, 2, Filter::kBicubic, {0, 0, 5, 4}));
  CHECK_THROWS(resizeBox(small, 2, 2, Filter::kBicubic, {2, 0, 2, 4}));
  CHECK_THROWS(reduce(small, 0, 1));
  CHECK_THROWS(reduce(small, 5, 1));
  CHECK_THROWS(crop(small, INT64_MAX, 0, INT64_MAX, 1));
  CHECK_THROWS(pad(small, {INT64_MAX, 0, INT64_MAX, 0}, 0));
  CHECK_THROWS(padCentered(small, 3, 9, 0));
  CHECK_THROWS(centerCrop(small, INT64_MAX, 1));
  CHECK_THROWS(orient(small, 0));
  CHECK_THROWS(filterFromPillow(6));
  CHECK_THROWS(kernelOf(Filter::kNearest));
  CHECK_THROWS(cmykToRgb(small));
  CHECK_THROWS(applySteps(small, {NormalizeStep{}, ToRgbStep{}}));
  CHECK_THROWS(applySteps(small, std::vector<Step>(kMaxSteps + 1, ToRgbStep{})));
  CHECK_THROWS(applySteps(small, {ResizeStep{std::int64_t{1} << 33, 1, Filter::kBox, 0.0}}));
}

VED_TEST(image_normalize) {
  Normalization by;
  by.rescale = 1.0 / 255;
  by.mean = {0.5};
  by.std = {0.5};
  const auto planes = std::get<Planes>(applySteps(fromPixels({0, 255}, 2, 1, 1), {NormalizeStep{by}}));
  CHECK_EQ(planes.data[0], -1.0F);
  CHECK_EQ(planes.data[1], 1.0F);
  const auto bare = std::get<Planes>(applySteps(fromPixels({1, 2, 3, 4, 5, 6}, 2, 1, 3), {NormalizeStep{}}));
  CHECK((bare.data == std::vector<float>{1, 4, 2, 5, 3, 6}));
}
