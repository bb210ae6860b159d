// Element-wise activations of Hugging Face's ACT2FN table (transformers activations.py).
#pragma once
#include <cstdint>

namespace ved {

enum class Activation : uint8_t {
  Identity,
  Gelu,       // 0.5 x (1 + erf(x / sqrt 2))
  GeluTanh,   // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): gelu_new, gelu_pytorch_tanh, gelu_fast
  QuickGelu,  // x sigmoid(1.702 x)
  Relu,
  Relu2,      // relu(x)^2
  Relu6,      // min(max(x, 0), 6)
  LeakyRelu,  // x >= 0 ? x : 0.01 x
  Silu,       // x sigmoid(x)
  Sigmoid,
  Tanh,
  Mish,  // x tanh(softplus(x))
};

}  // namespace ved
