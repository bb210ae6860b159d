// User-written processors and criteria: the engine thread waits while the event loop runs them (the slow path).
#pragma once
#include "addon/environment.h"

namespace ved::addon {

// Runs `call` on the event loop and waits for it. Throws ABORTED when the engine stops meanwhile, and CALLBACK_FAILED
// when `call` threw: the job then fails with the value that was thrown.
void callUser(Environment& environment, const engine::Engine& engine, uint32_t job,
              std::function<void(Napi::Env, Job&)> call);

// Binds `logitsProcessors`, `stoppingCriteria` and `prefixAllowedTokensFn` of a generate call to the request.
void bindUserCallbacks(Environment& environment, const engine::Engine& engine, uint32_t job, Job& live,
                       const Napi::Object& options, engine::GenerateRequest& request, int32_t sequencesPerImage);

}  // namespace ved::addon
