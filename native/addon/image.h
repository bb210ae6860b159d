// The image functions of the binary.
#pragma once

#include <napi.h>

#include <memory>

#include "core/pixel_program.h"

namespace ved::addon {

/// Adds processImage(data, width, height, channels, steps), ends in a promise of pixels or planes, and holdImage(data,
/// width, height, channels, steps, maxBytes), ends in a promise of a NativeImage; ts/image/native-image.ts types them.
void initImage(Napi::Env env, Napi::Object exports);

/// NativeImage of ts/image/native-image.ts: an image whose pixel values a device will compute, or has no need to.
class ImageHandle : public Napi::ObjectWrap<ImageHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ImageHandle(const Napi::CallbackInfo& info);
  ~ImageHandle() override;

  /// A new NativeImage that holds `image`.
  static Napi::Object wrap(Napi::Env env, std::shared_ptr<const HeldImage> image);
  /// What a NativeImage holds; nullptr for any other value.
  static std::shared_ptr<const HeldImage> held(const Napi::Value& value);

 private:
  void hold(std::shared_ptr<const HeldImage> image);

  Napi::Env env_;
  std::shared_ptr<const HeldImage> image_;
};

}  // namespace ved::addon
