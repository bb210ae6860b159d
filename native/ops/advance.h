// From the choices of one decode step to the rows of the next, where both lie. The rule is shared: the host applies the
// same functions to the same choices, so that it knows the rows without seeing them.
//
// Best, Draw: the row goes on with its choice.
// Beams:      row i of a search goes on with the i-th best candidate that is no end token, and takes over the lines of
//             that candidate's parent: the ancestry table up to the position just written, and the ids.
// A row whose ids would reach the length at which its search ends stays as it is, and so does a row of a search that
// has too few candidates: it computes the same once more, for nobody. Rows with rules < 0 are left alone.
#pragma once
#include "ops/select.h"

namespace ved::ops {

// Position ids of rows that get one token: those of pads may stand apart.
struct PositionRule {
  int32_t first = 0;  // id of position 0
  int32_t pad = -1;   // token whose position id is itself; -1: none
};
VED_HOST_DEVICE inline int32_t positionIdOf(const PositionRule& rule, int32_t token, int64_t position) {
  return rule.pad >= 0 && token == rule.pad ? rule.pad : static_cast<int32_t>(position) + rule.first;
}

// Everything lies in the backend's memory. Position p of a row is that of its p-th id, from 0; a step feeds the last
// id.
struct AdvanceArgs {
  SelectRow* rowInfo;  // [rows]: length, step and base move on
  int64_t rows;
  const SelectGroup* groups;
  int64_t groupCount;
  const int32_t* rules;
  int64_t ruleWords;
  const TokenChoice* choices;
  int64_t choiceCount;
  int32_t* ids;  // [lines, idCapacity]: of the rows whose rules read ids
  int64_t lines, idCapacity;
  // What the next run of the decoder reads, [rows] each.
  int32_t *token, *positionId, *position;
  int32_t* length;     // position + 1
  const int32_t* row;  // line of the ancestry table, and the slot that the row writes
  int32_t* ancestry;   // [ancestryLines, capacity]
  int64_t ancestryLines, capacity;
  PositionRule positions;
};

VED_HOST_DEVICE inline bool isEnd(const int32_t* block, const WordList& eos, int32_t token) {
  for (int32_t i = 0; i < eos.count; ++i)
    if (block[eos.first + i] == token) return true;
  return false;
}

// The candidate that row i of a beam search goes on with, or -1. block: the search's rules, eos its end tokens.
VED_HOST_DEVICE inline int32_t survivorOf(const TokenChoice* ranked, int32_t keep, const int32_t* block,
                                          const WordList& eos, int32_t i) {
  for (int32_t c = 0; c < keep; ++c) {
    if (ranked[c].token < 0) return -1;
    if (!isEnd(block, eos, ranked[c].token) && i-- == 0) return c;
  }
  return -1;
}

// Whether a row of so many ids may take one more and be fed again.
VED_HOST_DEVICE inline bool goesOn(const SelectRules& rules, int32_t length) { return length + 1 < rules.maxLength; }

// One row, whose lines are those of its parent already.
VED_HOST_DEVICE inline void advanceRow(const AdvanceArgs& a, int64_t r, bool keepsIds, int32_t token, float base) {
  SelectRow& info = a.rowInfo[r];
  if (keepsIds) a.ids[info.line * a.idCapacity + info.length] = token;
  ++info.length;
  ++info.step;
  info.base = base;
  const int32_t position = ++a.position[r];
  a.length[r] = position + 1;
  a.token[r] = token;
  a.positionId[r] = positionIdOf(a.positions, token, position);
  a.ancestry[a.row[r] * a.capacity + position] = a.row[r];
}

}  // namespace ved::ops
