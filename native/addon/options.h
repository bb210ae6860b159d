#pragma once
#include "addon/reader.h"
#include "decode/search.h"

namespace ved::addon {

// ResolvedGenerateOptions (ts/generation) -> decode::Options. Values were validated there; types are checked again
// here.
decode::Options readOptions(const Reader& reader);

}  // namespace ved::addon
