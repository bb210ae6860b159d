#include "addon/options.h"

namespace ved::addon {
namespace {

decode::EarlyStopping readEarlyStopping(const Reader& r) {
  const std::string text = r.has("earlyStopping") ? r.string("earlyStopping") : "false";
  if (text == "false") return decode::EarlyStopping::False;
  if (text == "true") return decode::EarlyStopping::True;
  if (text == "never") return decode::EarlyStopping::Never;
  rejectValue(r.path() + ".earlyStopping", "true, false or never, got " + text);
}

// Draws depend on all 64 bits, so the seed is a BigInt.
uint64_t readSeed(const Reader& r) {
  const Napi::Value value = r.value("seed");
  if (!value.IsBigInt()) rejectValue(r.path() + ".seed", "a BigInt");
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

int32_t integer32(const Reader& r, const char* name, int32_t fallback) {
  return static_cast<int32_t>(r.integer(name, fallback));
}
float number32(const Reader& r, const char* name, float fallback) {
  return static_cast<float>(r.number(name, fallback));
}

void readWarpers(const Reader& r, decode::Options& o) {
  o.temperature = number32(r, "temperature", 1.f);
  o.topK = integer32(r, "topK", 0);
  o.topP = number32(r, "topP", 1.f);
  o.hasMinP = r.boolean("hasMinP", false);
  o.minP = number32(r, "minP", 0.f);
  o.hasTopH = r.boolean("hasTopH", false);
  o.topH = number32(r, "topH", 0.f);
  o.typicalP = number32(r, "typicalP", 1.f);
  o.epsilonCutoff = number32(r, "epsilonCutoff", 0.f);
  o.etaCutoff = number32(r, "etaCutoff", 0.f);
}

void readProcessors(const Reader& r, decode::Options& o) {
  o.repetitionPenalty = number32(r, "repetitionPenalty", 1.f);
  o.noRepeatNgramSize = integer32(r, "noRepeatNgramSize", 0);
  if (r.has("badWordsIds")) o.badWordsIds = asIdRows(r.value("badWordsIds"), r.path() + ".badWordsIds");
  if (r.has("sequenceBias"))
    for (const Reader& entry : r.objects("sequenceBias"))
      o.sequenceBias.push_back({entry.ids("ids"), number32(entry, "bias", 0.f)});
  o.renormalizeLogits = r.boolean("renormalizeLogits", false);
  o.removeInvalidValues = r.boolean("removeInvalidValues", false);
  o.forcedBosTokenId = integer32(r, "forcedBosTokenId", -1);
  o.forcedEosTokenIds = r.ids("forcedEosTokenIds");
  o.hasExponentialDecay = r.boolean("hasExponentialDecay", false);
  o.decayStart = integer32(r, "decayStart", 0);
  o.decayFactor = number32(r, "decayFactor", 1.f);
  o.suppressTokens = r.ids("suppressTokens");
  o.beginSuppressTokens = r.ids("beginSuppressTokens");
}

}  // namespace

decode::Options readOptions(const Reader& r) {
  decode::Options o;
  o.promptLength = static_cast<int32_t>(r.integer("promptLength"));
  o.maxLength = static_cast<int32_t>(r.integer("maxLength"));
  o.minLength = integer32(r, "minLength", 0);
  o.minNewTokens = integer32(r, "minNewTokens", 0);
  o.numBeams = integer32(r, "numBeams", 1);
  o.numReturnSequences = integer32(r, "numReturnSequences", 1);
  o.doSample = r.boolean("doSample", false);
  o.earlyStopping = readEarlyStopping(r);
  o.lengthPenalty = number32(r, "lengthPenalty", 1.f);
  readWarpers(r, o);
  readProcessors(r, o);
  o.eosTokenIds = r.ids("eosTokenIds");
  o.padTokenId = integer32(r, "padTokenId", -1);
  o.stopStrings = r.strings("stopStrings");
  if (!o.stopStrings.empty()) o.tokenText = std::make_shared<const std::vector<std::string>>(r.strings("tokenText"));
  o.maxTimeSeconds = r.number("maxTimeSeconds", 0);
  o.seed = readSeed(r);
  o.outputScores = r.boolean("outputScores", false);
  return o;
}

}  // namespace ved::addon
