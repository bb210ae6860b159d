// Model spec and tensor table across the boundary, in both directions (the echo proves the twins equal).
#pragma once
#include "addon/reader.h"
#include "core/tensor_table.h"
#include "spec/model_spec.h"

namespace ved::addon {

spec::ModelSpec readSpec(const Reader& reader);
TensorTable readTable(const Reader& reader);
Napi::Object writeSpec(Napi::Env env, const spec::ModelSpec& spec);

}  // namespace ved::addon
