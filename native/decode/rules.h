// The options of a search as a block of rules (ops/select.h), for backends that choose tokens where the logits lie.
#pragma once
#include <cstdint>
#include <vector>

#include "decode/search.h"

namespace ved::decode {

// Empty where only the host can do it: user code, scores that are asked for, beam sampling, and the warpers that look
// at a whole distribution (typical, epsilon, eta, top-h).
std::vector<int32_t> makeRules(const Options& options);

// K: how many continuations of all live beams are ranked.
int32_t rankedCandidates(const Options& options);

}  // namespace ved::decode
