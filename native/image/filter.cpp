#include "filter.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace ved::image {
namespace {

constexpr double kPi = 3.14159265358979323846;

double boxWeight(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double bilinearWeight(double x) {
  const double distance = std::fabs(x);
  return distance < 1.0 ? 1.0 - distance : 0.0;
}

double hammingWeight(double x) {
  const double distance = std::fabs(x);
  if (distance == 0.0) return 1.0;
  if (distance >= 1.0) return 0.0;
  const double angle = distance * kPi;
  return std::sin(angle) / angle * (0.54 + 0.46 * std::cos(angle));
}

double bicubicWeight(double x) {
  constexpr double a = -0.5;
  const double d = std::fabs(x);
  if (d < 1.0) return ((a + 2.0) * d - (a + 3.0)) * d * d + 1;
  if (d < 2.0) return (((d - 5) * d + 8) * d - 4) * a;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  const double angle = x * kPi;
  return std::sin(angle) / angle;
}

double lanczosWeight(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

}  // namespace

Filter filterFromPillow(int number) {
  if (number < 0 || number > 5) {
    throw std::invalid_argument("resize filter: expected 0 to 5 (Pillow's numbers), got " + std::to_string(number));
  }
  return static_cast<Filter>(number);
}

Kernel kernelOf(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return {boxWeight, 0.5};
    case Filter::kBilinear:
      return {bilinearWeight, 1.0};
    case Filter::kHamming:
      return {hammingWeight, 1.0};
    case Filter::kBicubic:
      return {bicubicWeight, 2.0};
    case Filter::kLanczos:
      return {lanczosWeight, 3.0};
    case Filter::kNearest:
      break;
  }
  throw std::invalid_argument("resize filter: expected a convolving filter, got nearest");
}

}  // namespace ved::image
