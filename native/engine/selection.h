// Tokens of one step chosen by the backend: what it must know of the rows, gathered from the searches, and its choices.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "decode/search.h"

namespace ved::engine {

class Selection {
 public:
  // The searches of a step in the order of their rows.
  void clear();
  // False when the host must see the search's logits; its rows are then left alone.
  bool add(decode::Search& search);
  bool empty() const { return outCount_ == 0; }
  void run(ops::Backend& backend, const float* logits, int64_t vocab);
  // Of the search that was added as number i.
  std::span<const ops::TokenChoice> choices(size_t i) const;

 private:
  struct Range {
    int64_t first, count;
  };
  int32_t blockOf(const std::vector<int32_t>& rules);
  void addRow(const decode::LiveRow& live, const ops::SelectRules& rules, int32_t block);

  // Blocks of rules of the last searches, equal ones once; they stay where they are from step to step.
  std::vector<int32_t> words_, blocks_;
  uint64_t serial_ = 0;
  std::vector<ops::SelectRow> rows_;
  std::vector<ops::SelectGroup> groups_;
  std::vector<Range> ranges_;
  std::vector<const std::vector<int32_t>*> histories_;  // one per line of the table of ids
  std::vector<int32_t> ids_;
  std::vector<ops::TokenChoice> choices_;
  int64_t outCount_ = 0;
};

}  // namespace ved::engine
