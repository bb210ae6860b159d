// The passes of an image, one byte at a time.
#include "ops/reference/reference.h"

#include <vector>

namespace ved::ops::reference {

namespace {

std::vector<uint8_t> runPass(const PixelPass& pass, const PixelProgram& program, const uint8_t* in) {
  std::vector<uint8_t> out;
  for (int32_t y = 0; y < pass.height; ++y)
    for (int32_t x = 0; x < pass.width; ++x)
      for (int32_t c = 0; c < program.channels; ++c)
        out.push_back(passByte(pass, program.words.data(), in, program.channels, x, y, c));
  return out;
}

void prepare(const PixelSource& image) {
  const PixelProgram& program = *image.program;
  const uint8_t* bytes = image.bytes;
  std::vector<uint8_t> between;
  for (const PixelPass& pass : program.passes) {
    between = runPass(pass, program, bytes);
    bytes = between.data();
  }
  float* out = image.planes;
  for (int32_t c = 0; c < program.channels; ++c)
    for (int32_t y = 0; y < program.height; ++y)
      for (int32_t x = 0; x < program.width; ++x) {
        const int64_t at = pixelSeen(program.view, x, y);
        const int32_t level = at < 0 ? program.view.fill : bytes[at * program.channels + c];
        *out++ = program.levels[static_cast<size_t>(c * 256 + level)];
      }
}

}  // namespace

void preparePixels(const PreparePixelsArgs& a) {
  for (int64_t i = 0; i < a.count; ++i) prepare(a.images[i]);
}

}  // namespace ved::ops::reference
