// How many images one run of an encoder should take, and how many decode steps it should be given. On a device the
// blocks of a matrix product are handed to its multiprocessors in waves, and the last wave of each product is rarely
// full: some numbers of images fill waves better than others. A function of shapes and of the number of multiprocessors
// alone.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace ved::plan {

// A linear map of the encoder: rows of one image, inputs, outputs.
struct ImageProduct {
  int64_t rows, in, out;
};

// Tiles of 128 x 128 outputs, two at a time per multiprocessor: own kernels and, as one of 128 x 256, cuBLAS's.
constexpr int64_t kWaveTile = 128, kTilesPerMultiprocessor = 2;
constexpr int64_t kMaxImages = 64;
// Rows of the largest product beyond which another image only costs memory and lets others wait.
constexpr int64_t kMaxRows = int64_t{1} << 19;
// A smaller run is as good as the best when so much of the time is well spent: others wait less for it.
constexpr double kGoodEnough = 0.97;

// Work of the outputs that are wanted over work of the waves that are run, both in multiplications.
inline double waveEfficiency(const std::vector<ImageProduct>& products, int64_t images, int64_t multiprocessors) {
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t slots = multiprocessors * kTilesPerMultiprocessor;
  double useful = 0, spent = 0;
  for (const ImageProduct& p : products) {
    const int64_t tiles = up(p.rows * images, kWaveTile) * up(p.out, kWaveTile);
    useful += static_cast<double>(p.rows * images) * static_cast<double>(p.out * p.in);
    spent += static_cast<double>(up(tiles, slots) * slots) * static_cast<double>(kWaveTile * kWaveTile * p.in);
  }
  return spent > 0 ? useful / spent : 1;
}

// At least 1 and at most kMaxImages.
inline int64_t imagesPerRun(const std::vector<ImageProduct>& products, int64_t multiprocessors) {
  int64_t rows = 1;
  for (const ImageProduct& p : products) rows = std::max(rows, p.rows);
  const int64_t limit = std::clamp<int64_t>(kMaxRows / rows, 1, kMaxImages);
  std::vector<double> efficiency;
  for (int64_t images = 1; images <= limit; ++images)
    efficiency.push_back(waveEfficiency(products, images, multiprocessors));
  const double enough = kGoodEnough * *std::max_element(efficiency.begin(), efficiency.end());
  const auto first = std::find_if(efficiency.begin(), efficiency.end(), [&](double e) { return e >= enough; });
  return first - efficiency.begin() + 1;
}

// Multiplications that a device makes in the time in which it reads a byte: half of what an H200 reaches of each.
// Others are within a factor of two.
constexpr double kWorkPerByte16 = 75, kWorkPerByte32 = 5;
constexpr int64_t kMostStepsBeside = 256;

// Decode steps, each of which reads so many bytes, that take about as long as an encoder run of this work. Beside them
// it is looked at as over. A function of shapes alone, so that rows join others at the same step in every process.
inline int64_t stepsBeside(const std::vector<ImageProduct>& products, int64_t images, double bytesPerStep,
                           bool sixteenBits) {
  double work = 0;
  for (const ImageProduct& p : products)
    work += static_cast<double>(p.rows * images) * static_cast<double>(p.out) * static_cast<double>(p.in);
  const double bytes = work / (sixteenBits ? kWorkPerByte16 : kWorkPerByte32);
  if (!(bytes < static_cast<double>(kMostStepsBeside) * bytesPerStep)) return kMostStepsBeside;
  return std::max<int64_t>(1, static_cast<int64_t>(bytes / bytesPerStep + 0.5));
}

}  // namespace ved::plan
