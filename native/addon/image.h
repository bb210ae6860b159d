// The image functions of the binary.
#pragma once

#include <napi.h>

/// Adds processImage(data, width, height, channels, steps) to exports; ts/image/native-image.ts types it.
void InitImage(Napi::Env env, Napi::Object exports);
