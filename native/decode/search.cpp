#include "decode/search.h"

#include "decode/single_search.h"

namespace ved::decode {

std::unique_ptr<Search> makeSearch(const Options& options, std::vector<int32_t> prompt) {
  if (options.numBeams > 1) return makeBeam(options, std::move(prompt));
  if (options.doSample) return makeSampling(options, std::move(prompt));
  return makeGreedy(options, std::move(prompt));
}

}  // namespace ved::decode
