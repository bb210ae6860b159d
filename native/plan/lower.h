// Model spec -> programs. The only place, with weights.h, that knows both the spec and the ops.
#pragma once
#include "plan/program.h"

namespace ved::plan {

// pixels -> encoder states [batch * tokens, H] (HF's last_hidden_state, before enc_to_dec_proj)
Program lowerEncoder(const spec::EncoderSpec& spec, const ModelWeights& weights);
// encoder states -> keys and values of every decoder layer's cross-attention, in the cross cache
Program lowerCross(const spec::ModelSpec& spec, const ModelWeights& weights);
// token ids -> hidden states [tokens, H] after the final norm, reading and writing the caches
Program lowerDecoder(const spec::DecoderSpec& spec, const ModelWeights& weights);
// hidden states [rows, H] -> logits [rows, V]
Program lowerHead(const spec::DecoderSpec& spec, const ModelWeights& weights);

}  // namespace ved::plan
