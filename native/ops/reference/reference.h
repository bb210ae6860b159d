// Scalar, double-accumulating forms of every op: the oracle. Written for reading, not for speed.
#pragma once
#include "ops/backend.h"

namespace ved::ops::reference {

double activation(double x, Activation kind);
void encoderAttention(const EncoderAttentionArgs&);
void windowAttention(const WindowAttentionArgs&);
void ngramAttention(const NgramAttentionArgs& a);
void cachedAttention(const CachedAttentionArgs&);
void writeCache(const WriteCacheArgs&);
void patches(const PatchesArgs&);
void mergeCells(const MergeCellsArgs&);
void assembleTokens(const AssembleTokensArgs&);
void embedTokens(const EmbedTokensArgs&);
void layerNorm(const LayerNormArgs&);
void poolTokens(const PoolTokensArgs&);
RowSummary summarize(const float* logits, int64_t vocab);
void selectTokens(const SelectArgs&);
void advanceRows(const AdvanceArgs&);
void preparePixels(const PreparePixelsArgs&);

}  // namespace ved::ops::reference
