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

  // What was gathered, for whoever hands it to the backend by other ways than run().
  struct Range {
    int64_t first, count;
  };
  Range range(size_t i) const { return ranges_[i]; }  // of the choices of search i
  int64_t choiceCount() const { return outCount_; }
  std::span<const ops::SelectRow> rows() const { return rows_; }
  std::span<const ops::SelectGroup> groups() const { return groups_; }
  std::span<const int32_t> words() const { return words_; }
  uint64_t serial() const { return serial_; }  // changes whenever the words do
  // One per line of the table of ids.
  std::span<const std::vector<int32_t>* const> histories() const { return histories_; }

 private:
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
