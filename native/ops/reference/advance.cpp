// advanceRows() written out: every row's whole line is made anew from copies of the old ones.
#include <algorithm>
#include <vector>

#include "ops/reference/reference.h"

namespace ved::ops::reference {
namespace {

using Line = std::vector<int32_t>;

Line lineOf(const int32_t* table, int64_t line, int64_t capacity, int64_t count) {
  const int32_t* begin = table + line * capacity;
  return {begin, begin + count};
}

void putLine(int32_t* table, int64_t line, int64_t capacity, const Line& values) {
  std::copy(values.begin(), values.end(), table + line * capacity);
}

void feed(const AdvanceArgs& a, int64_t r, int32_t token, float base) {
  const int32_t position = a.position[r] + 1;
  a.rowInfo[r].length += 1;
  a.rowInfo[r].step += 1;
  a.rowInfo[r].base = base;
  a.token[r] = token;
  a.position[r] = position;
  a.length[r] = position + 1;
  a.positionId[r] = token == a.positions.pad ? token : a.positions.first + position;
}

void advanceOne(const AdvanceArgs& a, int64_t r) {
  const SelectRow& info = a.rowInfo[r];
  const SelectRules rules = rulesAt(a.rules + info.rules);
  const int32_t token = a.choices[info.out].token;
  if (rules.pick == Pick::Beams || info.length + 1 >= rules.maxLength) return;
  if (readsIds(rules)) a.ids[info.line * a.idCapacity + info.length] = token;
  feed(a, r, token, 0);
  a.ancestry[a.row[r] * a.capacity + a.position[r]] = a.row[r];
}

std::vector<TokenChoice> survivors(const AdvanceArgs& a, const SelectGroup& group, const int32_t* block) {
  const WordList eos = rulesAt(block).eos;
  std::vector<TokenChoice> list;
  for (int32_t i = 0; i < group.keep; ++i) {
    const TokenChoice& c = a.choices[group.out + i];
    const int32_t* ends = block + eos.first;
    if (c.token >= 0 && std::find(ends, ends + eos.count, c.token) == ends + eos.count) list.push_back(c);
  }
  return list;
}

void advanceBeams(const AdvanceArgs& a, const SelectGroup& group) {
  if (group.rows == 0) return;
  const int32_t* block = a.rules + a.rowInfo[group.firstRow].rules;
  const SelectRules rules = rulesAt(block);
  const std::vector<TokenChoice> next = survivors(a, group, block);
  std::vector<Line> ancestry, ids;
  for (int32_t i = 0; i < group.rows; ++i) {
    const int64_t r = group.firstRow + i;
    ancestry.push_back(lineOf(a.ancestry, a.row[r], a.capacity, a.position[r] + 1));
    ids.push_back(readsIds(rules) ? lineOf(a.ids, a.rowInfo[r].line, a.idCapacity, a.rowInfo[r].length) : Line());
  }
  for (int32_t i = 0; i < group.rows && i < static_cast<int32_t>(next.size()); ++i) {
    const int64_t r = group.firstRow + i;
    if (a.rowInfo[r].length + 1 >= rules.maxLength) continue;
    const TokenChoice& c = next[static_cast<size_t>(i)];
    Line line = ancestry[static_cast<size_t>(c.row)], text = ids[static_cast<size_t>(c.row)];
    line.push_back(a.row[r]);
    text.push_back(c.token);
    putLine(a.ancestry, a.row[r], a.capacity, line);
    if (readsIds(rules)) putLine(a.ids, a.rowInfo[r].line, a.idCapacity, text);
    feed(a, r, c.token, c.score);
  }
}

}  // namespace

void advanceRows(const AdvanceArgs& a) {
  for (int64_t r = 0; r < a.rows; ++r)
    if (a.rowInfo[r].rules >= 0) advanceOne(a, r);
  for (int64_t g = 0; g < a.groupCount; ++g) advanceBeams(a, a.groups[g]);
}

}  // namespace ved::ops::reference
