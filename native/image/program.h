// A list of image steps as a program that a backend can run, for one size of image.
#pragma once

#include <optional>
#include <vector>

#include "core/pixel_program.h"
#include "image.h"
#include "steps.h"

namespace ved::image {

/// Steps that end in a NormalizeStep, with nothing but resizing, cropping, padding and turning before it; the program
/// gives the bits that applySteps() gives. Nothing for any other list, nor for one that applySteps() refuses.
std::optional<PixelProgram> programOf(int width, int height, int channels, const std::vector<Step>& steps);

}  // namespace ved::image
