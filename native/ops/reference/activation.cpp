#include <cmath>
#include <limits>

#include "ops/reference/reference.h"

namespace ved::ops::reference {

namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// x * s(x) where s decays faster than 1 / x: its limit at -inf is 0, but the product there would be inf * 0.
double gated(double x, double s) { return x == -std::numeric_limits<double>::infinity() ? 0.0 : x * s; }

}  // namespace

double activation(double x, Activation kind) {
  switch (kind) {
    case Activation::Identity:
      return x;
    case Activation::Gelu:
      return gated(x, 0.5 * std::erfc(-x * 0.70710678118654752440));
    // 0.5 (1 + tanh u) == sigmoid(2 u)
    case Activation::GeluTanh:
      return gated(x, sigmoid(2.0 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case Activation::QuickGelu:
      return gated(x, sigmoid(1.702 * x));
    case Activation::Relu:
      return x < 0 ? 0.0 : x;
    case Activation::Relu2:
      return x < 0 ? 0.0 : x * x;
    case Activation::Relu6:
      return x < 0 ? 0.0 : x > 6 ? 6.0 : x;
    case Activation::LeakyRelu:
      return x < 0 ? 0.01 * x : x;
    case Activation::Silu:
      return gated(x, sigmoid(x));
    case Activation::Sigmoid:
      return sigmoid(x);
    case Activation::Tanh:
      return std::tanh(x);
    case Activation::Mish:
      return gated(x, std::tanh(x > 40 ? x : std::log1p(std::exp(x))));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace ved::ops::reference
