#include "addon/image.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "addon/environment.h"
#include "image/program.h"
#include "image/steps.h"

namespace ved::addon {
namespace {

using namespace ved::image;

double readNumber(const Napi::Object& step, const char* key) {
  const Napi::Value value = step.Get(key);
  if (!value.IsNumber())
    throw Napi::TypeError::New(step.Env(), std::string("image step ") + key + ": expected a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::int64_t wholeNumber(Napi::Env env, const char* what, double value) {
  constexpr double kLimit = 9007199254740991.0;
  if (std::trunc(value) == value && std::fabs(value) <= kLimit) return static_cast<std::int64_t>(value);
  throw Napi::RangeError::New(env,
                              std::string("image ") + what + ": expected a whole number, got " + std::to_string(value));
}

std::int64_t readWhole(const Napi::Object& step, const char* key) {
  return wholeNumber(step.Env(), key, readNumber(step, key));
}

int readInt(const Napi::Object& step, const char* key) {
  const std::int64_t value = readWhole(step, key);
  const bool fits = value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max();
  if (fits) return static_cast<int>(value);
  throw Napi::RangeError::New(step.Env(),
                              std::string("image step ") + key + ": expected 32 bits, got " + std::to_string(value));
}

std::uint8_t readByte(const Napi::Object& step, const char* key) {
  const std::int64_t value = readWhole(step, key);
  if (value >= 0 && value <= 255) return static_cast<std::uint8_t>(value);
  throw Napi::RangeError::New(step.Env(),
                              std::string("image step ") + key + ": expected 0 to 255, got " + std::to_string(value));
}

/// Absent: empty. At most one value per channel can be meant, so a longer list is refused at once.
std::vector<double> readList(const Napi::Object& step, const char* key) {
  const Napi::Value value = step.Get(key);
  if (value.IsUndefined()) return {};
  if (!value.IsArray() || value.As<Napi::Array>().Length() > 4) {
    throw Napi::TypeError::New(step.Env(), std::string("image step ") + key + ": expected an array of up to 4 numbers");
  }
  std::vector<double> list;
  const auto array = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsNumber())
      throw Napi::TypeError::New(step.Env(), std::string("image step ") + key + ": expected numbers");
    list.push_back(item.As<Napi::Number>().DoubleValue());
  }
  return list;
}

Arithmetic readArithmetic(const Napi::Object& step) {
  const Napi::Value value = step.Get("arithmetic");
  if (value.IsUndefined()) return Arithmetic::kPillow;
  if (value.IsString() && value.As<Napi::String>().Utf8Value() == "torchvision") return Arithmetic::kTorchvision;
  throw Napi::TypeError::New(step.Env(), "image step arithmetic: expected 'torchvision' or nothing");
}

Step readNormalize(const Napi::Object& step) {
  Normalization by;
  if (!step.Get("rescale").IsUndefined()) by.rescale = readNumber(step, "rescale");
  by.mean = readList(step, "mean");
  by.std = readList(step, "std");
  by.arithmetic = readArithmetic(step);
  return NormalizeStep{std::move(by)};
}

Step readResize(const Napi::Object& step) {
  const double gap = step.Get("reducingGap").IsUndefined() ? 0.0 : readNumber(step, "reducingGap");
  return ResizeStep{readWhole(step, "width"), readWhole(step, "height"), filterFromPillow(readInt(step, "filter")), gap,
                    readArithmetic(step)};
}

struct StepReader {
  const char* op;
  Step (*read)(const Napi::Object&);
};

const StepReader kReaders[] = {
    {"resize", readResize},
    {"crop",
     [](const Napi::Object& s) -> Step {
       return CropStep{readWhole(s, "x"), readWhole(s, "y"), readWhole(s, "width"), readWhole(s, "height")};
     }},
    {"centerCrop",
     [](const Napi::Object& s) -> Step {
       return CenterCropStep{readWhole(s, "width"), readWhole(s, "height"), readArithmetic(s)};
     }},
    {"pad",
     [](const Napi::Object& s) -> Step {
       return PadStep{readWhole(s, "left"), readWhole(s, "top"), readWhole(s, "right"), readWhole(s, "bottom"),
                      readByte(s, "value")};
     }},
    {"padCentered",
     [](const Napi::Object& s) -> Step {
       return PadCenteredStep{readWhole(s, "width"), readWhole(s, "height"), readByte(s, "value")};
     }},
    {"rotate90", [](const Napi::Object& s) -> Step { return Rotate90Step{readInt(s, "turns")}; }},
    {"orient", [](const Napi::Object& s) -> Step { return OrientStep{readInt(s, "orientation")}; }},
    {"cropMargin",
     [](const Napi::Object& s) -> Step {
       return CropMarginStep{readNumber(s, "threshold"), readArithmetic(s)};
     }},
    {"fillTransparent",
     [](const Napi::Object& s) -> Step {
       return FillTransparentStep{{readByte(s, "red"), readByte(s, "green"), readByte(s, "blue")}};
     }},
    {"toRgb", [](const Napi::Object&) -> Step { return ToRgbStep{}; }},
    {"cmykToRgb", [](const Napi::Object&) -> Step { return CmykToRgbStep{}; }},
    {"toGray", [](const Napi::Object&) -> Step { return ToGrayStep{}; }},
    {"normalize", readNormalize},
};

Step readStep(const Napi::Value& value) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), "image step: expected an object");
  const auto step = value.As<Napi::Object>();
  const Napi::Value op = step.Get("op");
  const std::string name = op.IsString() ? op.As<Napi::String>().Utf8Value() : "";
  for (const StepReader& reader : kReaders) {
    if (name == reader.op) return reader.read(step);
  }
  throw Napi::TypeError::New(value.Env(), "image step: unknown op '" + name + "'");
}

std::vector<Step> readSteps(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "processImage steps: expected an array");
  const auto array = value.As<Napi::Array>();
  if (array.Length() > kMaxSteps) {
    throw Napi::RangeError::New(value.Env(), "processImage steps: expected at most " + std::to_string(kMaxSteps) +
                                                 ", got " + std::to_string(array.Length()));
  }
  std::vector<Step> steps;
  for (std::uint32_t i = 0; i < array.Length(); ++i) steps.push_back(readStep(array.Get(i)));
  return steps;
}

template <class TypedArray, class T>
Napi::Value copyOut(Napi::Env env, const std::vector<T>& from) {
  auto array = TypedArray::New(env, from.size());
  if (!from.empty()) std::memcpy(array.Data(), from.data(), from.size() * sizeof(T));
  return array;
}

Napi::Object resultObject(Napi::Env env, const Napi::Value& data, const int (&dims)[3]) {
  Napi::Array shape = Napi::Array::New(env, 3);
  for (std::uint32_t i = 0; i < 3; ++i) shape.Set(i, Napi::Number::New(env, dims[i]));
  Napi::Object result = Napi::Object::New(env);
  result.Set("data", data);
  result.Set("dims", shape);
  return result;
}

Napi::Object toJs(Napi::Env env, const StepResult& result) {
  if (const auto* planes = std::get_if<Planes>(&result)) {
    return resultObject(env, copyOut<Napi::Float32Array>(env, planes->data),
                        {planes->channels, planes->height, planes->width});
  }
  const auto& image = std::get<Image>(result);
  return resultObject(env, copyOut<Napi::Uint8Array>(env, image.data), {image.height, image.width, image.channels});
}

/// Steps on an image, off the event loop. Owns a copy of the pixels: a caller may transfer or change its buffer while
/// the job waits.
class ImageJob : public Napi::AsyncWorker {
 public:
  ImageJob(Napi::Env env, Image image, std::vector<Step> steps)
      : Napi::AsyncWorker(env, "ved:image"),
        image_(std::move(image)),
        steps_(std::move(steps)),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      work();
    } catch (const std::bad_alloc&) {
      code_ = "OUT_OF_MEMORY";
      SetError("expected enough memory for the steps of an image, got none");
    } catch (const std::exception& error) {
      code_ = "INVALID_ARGUMENT";
      SetError(error.what());
    }
  }

  void OnOK() override {
    Napi::HandleScope scope(Env());
    try {
      deferred_.Resolve(result());
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  void OnError(const Napi::Error& error) override {
    Napi::HandleScope scope(Env());
    error.Value().Set("code", Napi::String::New(Env(), code_));
    deferred_.Reject(error.Value());
  }

 protected:
  virtual void work() = 0;
  virtual Napi::Value result() = 0;

  Image image_;
  std::vector<Step> steps_;

 private:
  Napi::Promise::Deferred deferred_;
  const char* code_ = "INVALID_ARGUMENT";
};

class ProcessJob final : public ImageJob {
 public:
  using ImageJob::ImageJob;

 private:
  void work() override { result_ = applySteps(std::move(image_), steps_); }
  Napi::Value result() override { return toJs(Env(), result_); }

  StepResult result_;
};

/// What the steps need on a device decides: an image that takes more than `maxBytes` is prepared here.
class HoldJob final : public ImageJob {
 public:
  HoldJob(Napi::Env env, Image image, std::vector<Step> steps, std::size_t maxBytes)
      : ImageJob(env, std::move(image), std::move(steps)), maxBytes_(maxBytes) {}

 private:
  void work() override {
    std::optional<PixelProgram> program;
    if (image_.data.size() <= maxBytes_) program = programOf(image_.width, image_.height, image_.channels, steps_);
    if (program && image_.data.size() + 2 * program->passBytes() <= maxBytes_) {
      held_ = std::make_shared<HeldImage>(UnpreparedImage{std::move(*program), std::move(image_.data)});
      return;
    }
    StepResult done = applySteps(std::move(image_), steps_);
    auto* planes = std::get_if<Planes>(&done);
    if (planes == nullptr) throw std::invalid_argument("steps: expected normalize as the last step");
    held_ = std::make_shared<HeldImage>(
        PixelValues{planes->channels, planes->height, planes->width, std::move(planes->data)});
  }
  Napi::Value result() override { return ImageHandle::wrap(Env(), std::move(held_)); }

  std::size_t maxBytes_;
  std::shared_ptr<const HeldImage> held_;
};

std::int64_t wholeArgument(const Napi::CallbackInfo& info, std::size_t index, const char* name) {
  if (!info[index].IsNumber()) {
    throw Napi::TypeError::New(info.Env(), std::string("processImage ") + name + ": expected a number");
  }
  return wholeNumber(info.Env(), name, info[index].As<Napi::Number>().DoubleValue());
}

Image readImage(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(info.Env(), "processImage data: expected a Uint8Array");
  }
  const auto data = info[0].As<Napi::Uint8Array>();
  const std::int64_t width = wholeArgument(info, 1, "width");
  const std::int64_t height = wholeArgument(info, 2, "height");
  const std::int64_t channels = wholeArgument(info, 3, "channels");
  checkedBytes(width, height, channels);  // before a copy of whatever was passed
  std::vector<std::uint8_t> pixels(data.Data(), data.Data() + data.ElementLength());
  return fromPixels(std::move(pixels), width, height, channels);
}

/// Malformed arguments throw at once; what only the work itself can find out rejects the promise.
template <class Job, class... Args>
Napi::Value start(const Napi::CallbackInfo& info, Args... args) {
  try {
    auto job = std::make_unique<Job>(info.Env(), readImage(info), readSteps(info[4]), args...);
    const Napi::Promise promise = job->promise();
    job->Queue();
    static_cast<void>(job.release());  // an AsyncWorker deletes itself
    return promise;
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(info.Env(), "expected enough memory to copy the image, got none");
  } catch (const std::invalid_argument& error) {
    throw Napi::RangeError::New(info.Env(), error.what());
  }
}

Napi::Value processImage(const Napi::CallbackInfo& info) { return start<ProcessJob>(info); }

Napi::Value holdImage(const Napi::CallbackInfo& info) {
  const std::int64_t maxBytes = wholeArgument(info, 5, "maxBytes");
  if (maxBytes < 0) throw Napi::RangeError::New(info.Env(), "holdImage maxBytes: expected 0 or more");
  return start<HoldJob>(info, static_cast<std::size_t>(maxBytes));
}

std::size_t bytesOf(const HeldImage& image) {
  if (const auto* waiting = std::get_if<UnpreparedImage>(&image)) return waiting->bytes.size();
  return std::get<PixelValues>(image).values.size() * sizeof(float);
}

}  // namespace

Napi::Function ImageHandle::define(Napi::Env env) { return DefineClass(env, "NativeImage", {}); }

ImageHandle::ImageHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ImageHandle>(info), env_(info.Env()) {}

/// The collector sees a small object: it has to be told of what hangs on it.
ImageHandle::~ImageHandle() {
  if (image_) Napi::MemoryManagement::AdjustExternalMemory(env_, -static_cast<std::int64_t>(bytesOf(*image_)));
}

void ImageHandle::hold(std::shared_ptr<const HeldImage> image) {
  Napi::MemoryManagement::AdjustExternalMemory(env_, static_cast<std::int64_t>(bytesOf(*image)));
  image_ = std::move(image);
}

Napi::Object ImageHandle::wrap(Napi::Env env, std::shared_ptr<const HeldImage> image) {
  Napi::Object object = Environment::of(env).imageConstructor.New({});
  const auto* waiting = std::get_if<UnpreparedImage>(image.get());
  std::int64_t dims[3];
  if (waiting) {
    const PixelProgram& p = waiting->program;
    dims[0] = p.channels, dims[1] = p.height, dims[2] = p.width;
  } else {
    const auto& values = std::get<PixelValues>(*image);
    dims[0] = values.channels, dims[1] = values.height, dims[2] = values.width;
  }
  Napi::Array shape = Napi::Array::New(env, 3);
  for (std::uint32_t i = 0; i < 3; ++i) shape.Set(i, static_cast<double>(dims[i]));
  object.Set("dims", shape);
  object.Set("prepared", waiting == nullptr);
  ImageHandle::Unwrap(object)->hold(std::move(image));
  return object;
}

std::shared_ptr<const HeldImage> ImageHandle::held(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const auto object = value.As<Napi::Object>();
  if (!object.InstanceOf(Environment::of(value.Env()).imageConstructor.Value())) return nullptr;
  return ImageHandle::Unwrap(object)->image_;  // throws for an object that only looks like one
}

void initImage(Napi::Env env, Napi::Object exports) {
  exports.Set("processImage", Napi::Function::New(env, processImage, "processImage"));
  exports.Set("holdImage", Napi::Function::New(env, holdImage, "holdImage"));
}

}  // namespace ved::addon
