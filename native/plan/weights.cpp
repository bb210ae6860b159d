#include "plan/weights.h"

#include "plan/loader.h"

namespace ved::plan {

ModelWeights loadWeights(const spec::ModelSpec& spec, const TensorTable& table, ops::Backend& backend, ComputeType type,
                         bool foldScales, const std::function<bool()>& keepGoing) {
  Loader load(table, backend, type, keepGoing);
  load.foldScales = foldScales;
  ModelWeights weights;
  weights.type = type;
  loadEncoder(load, spec.encoder, weights);
  if (spec.projection) weights.projection = load.linear(*spec.projection);
  loadDecoder(load, spec.decoder, weights);
  load.packPending();
  weights.bytes = load.bytes;
  return weights;
}

}  // namespace ved::plan
