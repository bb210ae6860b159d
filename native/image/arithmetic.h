// Which library's rounding an image step follows.
#pragma once

namespace ved::image {

/// kPillow: Pillow and numpy, the slow image processors of transformers. kTorchvision: torchvision 0.28 on 8-bit
/// tensors on a processor with AVX2 or AVX-512, the fast ones.
enum class Arithmetic { kPillow, kTorchvision };

}  // namespace ved::image
