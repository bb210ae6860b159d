#include "plan/weights.h"

#include "plan/loader.h"

namespace ved::plan {

ModelWeights loadWeights(const spec::ModelSpec& spec, const TensorTable& table, ops::Backend& backend, bool foldScales,
                         const std::function<bool()>& keepGoing) {
  Loader load(table, backend, keepGoing);
  load.foldScales = foldScales;
  ModelWeights weights;
  loadEncoder(load, spec.encoder, weights);
  if (spec.projection) weights.projection = load.linear(*spec.projection);
  loadDecoder(load, spec.decoder, weights);
  weights.bytes = load.bytes;
  return weights;
}

}  // namespace ved::plan
