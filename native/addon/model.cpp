#include "addon/model.h"

#include <cstring>

#include "addon/callbacks.h"
#include "addon/image.h"
#include "addon/options.h"
#include "addon/spec.h"

namespace ved::addon {
namespace {

Napi::Object makeJobObject(Napi::Env env, uint32_t id, Napi::Promise promise) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("id", id);
  o.Set("promise", promise);
  return o;
}

Napi::Object tensor(Napi::Env env, const std::vector<float>& data, std::initializer_list<int64_t> dims) {
  Napi::Float32Array array = Napi::Float32Array::New(env, data.size());
  if (!data.empty()) std::memcpy(array.Data(), data.data(), data.size() * sizeof(float));
  Napi::Array shape = Napi::Array::New(env, dims.size());
  uint32_t i = 0;
  for (int64_t dim : dims) shape.Set(i++, static_cast<double>(dim));
  Napi::Object o = Napi::Object::New(env);
  o.Set("data", array);
  o.Set("dims", shape);
  return o;
}

struct TensorView {
  Napi::Float32Array data;
  std::vector<int64_t> dims;
};

TensorView readTensor(const Reader& r, size_t rank) {
  const Napi::Value data = r.value("data");
  if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    rejectValue(r.path() + ".data", "a Float32Array");
  TensorView view{data.As<Napi::Float32Array>(), r.integers("dims")};
  if (view.dims.size() != rank) rejectValue(r.path() + ".dims", std::to_string(rank) + " dimensions");
  double elements = 1;
  for (int64_t dim : view.dims) {
    if (dim < 1) rejectValue(r.path() + ".dims", "positive dimensions");
    elements *= static_cast<double>(dim);
  }
  if (elements != static_cast<double>(view.data.ElementLength()))
    rejectValue(r.path(), "as many values as its dims name (" + std::to_string(static_cast<int64_t>(elements)) +
                              "), got " + std::to_string(view.data.ElementLength()));
  return view;
}

// The size of every image: [channels, height, width].
std::vector<int64_t> heldSize(const HeldImage& image) {
  if (const auto* waiting = std::get_if<UnpreparedImage>(&image))
    return {waiting->program.channels, waiting->program.height, waiting->program.width};
  const auto& values = std::get<PixelValues>(image);
  return {values.channels, values.height, values.width};
}

engine::Pixels readHeld(const Napi::Value& value, const std::string& path, bool prepares) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() == 0) rejectValue(path, "an array of NativeImage objects");
  const auto array = value.As<Napi::Array>();
  std::vector<std::shared_ptr<const HeldImage>> images;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    images.push_back(ImageHandle::held(array.Get(i)));
    if (!images.back()) rejectValue(path, "NativeImage objects");
    if (!prepares && std::holds_alternative<UnpreparedImage>(*images.back()))
      rejectValue(path, "prepared images, as this backend prepares none");
    if (heldSize(*images.back()) != heldSize(*images.front())) rejectValue(path, "images of one size");
  }
  const std::vector<int64_t> size = heldSize(*images.front());
  const auto batch = static_cast<int64_t>(images.size());
  return {std::move(images), batch, size[0], size[1], size[2]};
}

engine::Pixels readValues(const Reader& r) {
  const TensorView view = readTensor(r, 4);
  engine::Pixels pixels;
  const float* data = view.data.Data();
  pixels.images = std::vector<float>(data, data + view.data.ElementLength());  // the caller may transfer it away
  pixels.batch = view.dims[0];
  pixels.channels = view.dims[1];
  pixels.height = view.dims[2];
  pixels.width = view.dims[3];
  return pixels;
}

const char* finishName(decode::FinishReason reason) {
  switch (reason) {
    case decode::FinishReason::None:
      return "";
    case decode::FinishReason::Eos:
      return "eos";
    case decode::FinishReason::Length:
      return "length";
    case decode::FinishReason::StopString:
      return "stopString";
    case decode::FinishReason::Time:
      return "time";
    case decode::FinishReason::Criterion:
      return "criterion";
  }
  return "";
}

template <typename T>
Napi::Array numbers(Napi::Env env, const std::vector<T>& values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) array.Set(static_cast<uint32_t>(i), static_cast<double>(values[i]));
  return array;
}

Napi::Object writeResult(Napi::Env env, const engine::GenerateResult& result) {
  Napi::Array sequences = Napi::Array::New(env, result.sequences.size());
  for (size_t i = 0; i < result.sequences.size(); ++i) {
    const decode::Sequence& s = result.sequences[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("ids", numbers(env, s.ids));
    o.Set("tokenLogProbs", numbers(env, s.tokenLogProbs));
    o.Set("score", s.score);
    o.Set("beamIndices", numbers(env, s.beamIndices));
    o.Set("finish", finishName(s.finish));
    sequences.Set(static_cast<uint32_t>(i), o);
  }
  Napi::Array scores = Napi::Array::New(env, result.scores.size());
  for (size_t i = 0; i < result.scores.size(); ++i) {
    Napi::Array steps = Napi::Array::New(env, result.scores[i].size());
    for (size_t s = 0; s < result.scores[i].size(); ++s) {
      const std::vector<float>& values = result.scores[i][s];
      steps.Set(static_cast<uint32_t>(s), tensor(env, values, {static_cast<int64_t>(values.size())}));
    }
    scores.Set(static_cast<uint32_t>(i), steps);
  }
  Napi::Object o = Napi::Object::New(env);
  o.Set("sequences", sequences);
  o.Set("scores", scores);
  return o;
}

Napi::Array tensors(Napi::Env env, const std::vector<plan::TappedState>& values, int64_t batch) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t columns = static_cast<int64_t>(values[i].data.size()) / (batch * values[i].width);
    array.Set(static_cast<uint32_t>(i), tensor(env, values[i].data, {batch, columns, values[i].width}));
  }
  return array;
}

Napi::Object writeForward(Napi::Env env, const engine::ForwardResult& r) {
  Napi::Object o = Napi::Object::New(env);
  const auto width = [](const std::vector<float>& v, int64_t rows) { return static_cast<int64_t>(v.size()) / rows; };
  o.Set("logits", tensor(env, r.logits, {r.batch, r.steps, width(r.logits, r.batch * r.steps)}));
  o.Set("encoderLastHiddenState",
        tensor(env, r.states, {r.batch, r.encoderTokens, width(r.states, r.batch * r.encoderTokens)}));
  o.Set("loss", r.loss);
  if (!r.encoderHidden.empty()) o.Set("encoderHiddenStates", tensors(env, r.encoderHidden, r.batch));
  if (!r.decoderHidden.empty()) o.Set("decoderHiddenStates", tensors(env, r.decoderHidden, r.batch));
  if (!r.crossAttentions.empty()) {
    Napi::Array layers = Napi::Array::New(env, r.crossAttentions.size());
    for (size_t i = 0; i < r.crossAttentions.size(); ++i) {
      const int64_t heads = width(r.crossAttentions[i], r.batch * r.attentionSteps * r.encoderTokens);
      layers.Set(static_cast<uint32_t>(i),
                 tensor(env, r.crossAttentions[i], {r.batch, heads, r.attentionSteps, r.encoderTokens}));
    }
    o.Set("crossAttentions", layers);
  }
  return o;
}

// A callback's own exception wins over the error that it caused.
void reject(Napi::Env env, Environment& environment, uint32_t id, std::exception_ptr error) {
  const std::unique_ptr<Job> job = environment.takeJob(id);
  if (!job) return;
  if (!job->failure.IsEmpty())
    job->deferred.Reject(job->failure.Value().Get("value"));
  else
    job->deferred.Reject(toError(env, error).Value());
}

std::exception_ptr abortedError() {
  return std::make_exception_ptr(Error(ErrorKind::Internal, "ABORTED", "the operation was aborted"));
}

// A result that cannot be written (no memory for its arrays) rejects: the promise must not stay open.
template <typename Make>
void settle(Napi::Env env, Environment& environment, uint32_t id, Make make) {
  const std::unique_ptr<Job> job = environment.takeJob(id);
  try {
    job->deferred.Resolve(make());
  } catch (const Napi::Error& error) {
    job->deferred.Reject(error.Value());
  } catch (...) {
    job->deferred.Reject(toError(env, std::current_exception()).Value());
  }
}

template <typename Result, typename Write>
std::function<void(Result)> resolver(Environment* environment, uint32_t id, Write write) {
  return [=](Result result) {
    auto shared = std::make_shared<Result>(std::move(result));
    environment->post([=](Napi::Env env, Environment& e) {
      Job* job = e.job(id);
      if (!job) return;
      if (job->cancelled || !job->failure.IsEmpty()) return reject(env, e, id, abortedError());
      settle(env, e, id, [&] { return write(env, *shared); });
    });
  };
}

std::function<void(std::exception_ptr)> rejecter(Environment* environment, uint32_t id) {
  return [=](std::exception_ptr error) {
    environment->post([=](Napi::Env env, Environment& e) { reject(env, e, id, error); });
  };
}

ops::CpuIsa readIsa(const Reader& r) {
  const std::string text = r.string("isa");
  if (text == "auto") return ops::CpuIsa::Auto;
  for (ops::CpuIsa isa : {ops::CpuIsa::Scalar, ops::CpuIsa::Avx2, ops::CpuIsa::Avx512, ops::CpuIsa::Neon})
    if (text == ops::cpuIsaName(isa)) return isa;
  rejectValue(r.path() + ".isa", "auto, scalar, avx2, avx512 or neon, got " + text);
}

ComputeType readType(const Reader& r) {
  const std::string text = r.string("dtype");
  for (ComputeType type : {ComputeType::Float32, ComputeType::BFloat16, ComputeType::Float16, ComputeType::Int8})
    if (text == computeTypeName(type)) return type;
  rejectValue(r.path() + ".dtype", "float32, bfloat16, float16 or int8, got " + text);
}

engine::LoadOptions readLoadOptions(const Reader& r) {
  engine::LoadOptions options;
  options.backend = r.string("backend");
  options.isa = readIsa(r);
  options.type = readType(r);
  options.device = static_cast<int>(r.integer("device", 0));
  options.threads = static_cast<int>(r.integer("threads"));
  options.maxBatch = static_cast<int32_t>(r.integer("maxBatch"));
  if (options.threads < 0 || options.threads > 1024) rejectValue("threads", "0 to 1024");
  if (options.maxBatch < 1 || options.maxBatch > 4096) rejectValue("maxBatch", "1 to 4096");
  options.fuse = r.boolean("fuse", true);
  return options;
}

Napi::FunctionReference& constructorOf(Napi::Env env);

}  // namespace

Napi::Function ModelHandle::define(Napi::Env env) {
  return DefineClass(
      env, "NativeModel",
      {InstanceMethod<&ModelHandle::forward>("forward"), InstanceMethod<&ModelHandle::generate>("generate"),
       InstanceMethod<&ModelHandle::cancel>("cancel"), InstanceMethod<&ModelHandle::memory>("memory"),
       InstanceMethod<&ModelHandle::readOwned>("readOwned"), InstanceMethod<&ModelHandle::dumpPlan>("dumpPlan"),
       InstanceMethod<&ModelHandle::dispose>("dispose")});
}

ModelHandle::ModelHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ModelHandle>(info), environment_(&Environment::of(info.Env())) {}

ModelHandle::~ModelHandle() {
  if (environment_->closed()) return;  // the cleanup hook has joined the engine already
  environment_->owners().remove(&engine_);
  if (engine_) environment_->destroyNow(std::move(engine_));
}

void ModelHandle::attach(Environment& environment, std::unique_ptr<engine::Engine> engine,
                         const engine::Engine::Ready& ready) {
  engine_ = std::move(engine);
  environment.owners().push_back(&engine_);
  Napi::Object self = Value();
  self.Set("backend", ready.backend);
  self.Set("threads", ready.threads);
  self.Set("preparesPixels", ready.preparesPixels);
  preparesPixels_ = ready.preparesPixels;
}

engine::Engine& ModelHandle::engine() {
  if (!engine_) throw Error(ErrorKind::Disposed, "DISPOSED", "the model was disposed");
  return *engine_;
}

engine::Pixels ModelHandle::readPixels(const Reader& r) const {
  if (!r.has("images")) return readValues(r);
  return readHeld(r.value("images"), r.path() + ".images", preparesPixels_);
}

Napi::Value ModelHandle::load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Environment& environment = Environment::of(env);
    TensorTable table = readTable(Reader(info[0], "source"));
    spec::ModelSpec spec = readSpec(Reader(info[1], "spec"));
    const engine::LoadOptions options = readLoadOptions(Reader(info[2], "options"));
    auto job = std::make_unique<Job>(env);
    const Napi::Promise promise = job->deferred.Promise();
    // The engine under construction lives in a holder that the environment knows, until the model object owns it.
    auto holder = std::make_shared<std::unique_ptr<engine::Engine>>();
    job->cancel = [holder] { (*holder)->requestStop(); };
    const uint32_t id = environment.addJob(std::move(job));
    Environment* loop = &environment;
    const auto release = [holder](Environment& e) { e.owners().remove(holder.get()); };
    auto onReady = [=](engine::Engine::Ready ready) {
      loop->post([=](Napi::Env e, Environment& owner) {
        Napi::Object object =
            constructorOf(e).New({});  // may throw while a worker is terminated: the holder is still known
        release(owner);
        const std::unique_ptr<Job> finished = owner.takeJob(id);
        ModelHandle::Unwrap(object)->attach(owner, std::move(*holder), ready);
        if (finished) finished->deferred.Resolve(object);
      });
    };
    auto onError = [=](std::exception_ptr error) {
      loop->post([=](Napi::Env e, Environment& owner) {
        release(owner);
        if (*holder) owner.destroyNow(std::move(*holder));
        reject(e, owner, id, error);
      });
    };
    *holder = std::make_unique<engine::Engine>(std::move(spec), std::move(table), options, std::move(onReady),
                                               std::move(onError));
    environment.adopt(holder->get());
    environment.owners().push_back(holder.get());
    return makeJobObject(env, id, promise);
  });
}

Napi::Value ModelHandle::generate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    engine::Engine& owner = engine();
    auto request = std::make_shared<engine::GenerateRequest>();
    request->pixels = readPixels(Reader(info[0], "pixelValues"));
    request->prompts = asIdRows(info[1], "prompts");
    const Reader options(info[2], "options");
    request->options = readOptions(options);
    if (static_cast<int64_t>(request->prompts.size()) != request->pixels.batch)
      rejectValue("prompts", "one prompt per image");
    for (const auto& prompt : request->prompts)
      if (static_cast<int32_t>(prompt.size()) != request->options.promptLength)
        rejectValue("prompts", "promptLength ids each");
    const bool beams = request->options.numBeams > 1;
    request->searchesPerImage = beams ? 1 : request->options.numReturnSequences;
    if (!beams) request->options.numReturnSequences = 1;
    auto job = std::make_unique<Job>(env);
    job->owner = Napi::Persistent(Value());
    job->cancel = [this, request] {  // job->owner keeps `this`; the engine may be disposed of before the job is settled
      request->cancelled = true;
      if (engine_) engine_->wake();
    };
    Job* live = job.get();
    const Napi::Promise promise = job->deferred.Promise();
    const uint32_t id = environment_->addJob(std::move(job));
    request->id = id;
    bindUserCallbacks(*environment_, owner, id, *live, info[2].As<Napi::Object>(), *request, request->options.numBeams);
    if (info[3].IsFunction()) {
      const size_t index = live->callbacks.size();
      live->callbacks.push_back(Napi::Persistent(info[3].As<Napi::Function>()));
      Environment* loop = environment_;
      request->onToken = [loop, id, index](const engine::TokenEvent& event) {
        loop->post([=](Napi::Env e, Environment& target) {
          Job* running = target.job(id);
          if (!running) return;
          Napi::Object o = Napi::Object::New(e);
          o.Set("row", event.row);
          o.Set("tokenId", event.token);
          o.Set("logProb", event.logProb);
          o.Set("finish", finishName(event.finish));
          running->callbacks[index].Call({o});
        });
      };
    }
    request->onDone = resolver<engine::GenerateResult>(environment_, id, writeResult);
    request->onError = rejecter(environment_, id);
    owner.generate(request);
    return makeJobObject(env, id, promise);
  });
}

Napi::Value ModelHandle::forward(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    engine::Engine& owner = engine();
    const Reader r(info[0], "request");
    auto request = std::make_shared<engine::ForwardRequest>();
    if (r.has("pixelValues")) {
      request->pixels = readPixels(r.object("pixelValues"));
      request->batch = request->pixels.batch;
    } else {
      const TensorView states = readTensor(r.object("encoderStates"), 3);
      request->states.assign(states.data.Data(), states.data.Data() + states.data.ElementLength());
      request->batch = states.dims[0];
      request->encoderTokens = states.dims[1];
    }
    request->ids = asIdRows(r.value("decoderInputIds"), "decoderInputIds");
    if (r.has("decoderAttentionMask"))
      for (const auto& row : asIdRows(r.value("decoderAttentionMask"), "decoderAttentionMask"))
        request->mask.emplace_back(row.begin(), row.end());
    if (request->ids.empty() || static_cast<int64_t>(request->ids.size()) != request->batch)
      rejectValue("decoderInputIds", "one row per image");
    for (const auto& row : request->ids)
      if (row.empty() || row.size() != request->ids.front().size())
        rejectValue("decoderInputIds", "rows of one length");
    for (const auto& row : request->mask)
      if (row.size() != request->ids.front().size() || request->mask.size() != request->ids.size())
        rejectValue("decoderAttentionMask", "the shape of decoderInputIds");
    if (r.has("labels")) request->labels = asIdRows(r.value("labels"), "labels");
    for (const auto& row : request->labels)
      if (row.size() != request->ids.front().size() || request->labels.size() != request->ids.size())
        rejectValue("labels", "the shape of decoderInputIds");
    request->hiddenStates = r.boolean("outputHiddenStates", false);
    request->attentions = r.boolean("outputAttentions", false);
    auto job = std::make_unique<Job>(env);
    job->owner = Napi::Persistent(Value());
    job->cancel = [request] { request->cancelled = true; };
    const Napi::Promise promise = job->deferred.Promise();
    const uint32_t id = environment_->addJob(std::move(job));
    request->onDone = resolver<engine::ForwardResult>(environment_, id, writeForward);
    request->onError = rejecter(environment_, id);
    owner.forward(request);
    return makeJobObject(env, id, promise);
  });
}

Napi::Value ModelHandle::cancel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    environment_->cancelJob(static_cast<uint32_t>(asInteger(info[0], "jobId")));
    return info.Env().Undefined();
  });
}

Napi::Value ModelHandle::memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const engine::Memory memory = engine().memory();
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("weightBytes", static_cast<double>(memory.weights));
    o.Set("cacheBytes", static_cast<double>(memory.cache));
    o.Set("workspaceBytes", static_cast<double>(memory.workspace));
    return o;
  });
}

// Synchronous: a copy of at most what the caller asks for, which saving does in small pieces.
Napi::Value ModelHandle::readOwned(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::vector<float> values =
        engine().readOwned(asInteger(info[0], "buffer"), asInteger(info[1], "first"), asInteger(info[2], "count"));
    Napi::Float32Array array = Napi::Float32Array::New(info.Env(), values.size());
    if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(float));
    return array;
  });
}

Napi::Value ModelHandle::dumpPlan(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), engine().dumpPlan(info[0].ToString().Utf8Value()));
  });
}

// Jobs still running reject with ABORTED; the promise resolves when the engine's thread is gone.
Napi::Value ModelHandle::dispose(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto job = std::make_unique<Job>(env);
    const Napi::Promise promise = job->deferred.Promise();
    if (!engine_) {
      job->deferred.Resolve(env.Undefined());
      return promise;
    }
    const uint32_t id = environment_->addJob(std::move(job));
    environment_->owners().remove(&engine_);
    environment_->destroy(std::move(engine_), [id](Napi::Env e, Environment& environment) {
      const std::unique_ptr<Job> finished = environment.takeJob(id);
      if (finished) finished->deferred.Resolve(e.Undefined());
    });
    return promise;
  });
}

namespace {
Napi::FunctionReference& constructorOf(Napi::Env env) { return Environment::of(env).modelConstructor; }
}  // namespace

}  // namespace ved::addon
