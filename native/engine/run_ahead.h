// Decode steps that are launched before the host has read the choices of the last ones. The state of the rows lies in
// the backend's memory and moves on there (ops/advance.h); the searches of the host follow, some steps behind, with the
// choices that come back. They decide nothing but when a row ends; what was computed beyond that is not looked at.
#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "engine/item.h"
#include "engine/selection.h"

namespace ved::engine {

// Whether the backend's next rows of a search are those that its step on the host left. They differ where candidates of
// a beam search end by what the backend does not know (a stop string), or are too few.
bool foreseen(const std::vector<int32_t>& rules, std::span<const ops::TokenChoice> choices, const decode::Step& step,
              int32_t rows);

class RunAhead {
 public:
  struct Follower {
    Item* item;      // nullptr: ended, or its rows went another way
    int64_t length;  // of its ids on the host
    int64_t maxLength;
    size_t firstChoice, choices;  // of every step
  };
  // Of the backend, and at the same place until the last step has been read.
  struct Memory {
    float* hidden;
    float* logits;
    plan::CacheView* self;
    plan::CacheView* cross;
  };
  // [lines, capacity of the self-attention cache]
  struct Ancestry {
    const std::vector<int32_t>& table;
    int64_t lines;
    int64_t maxRows;  // that any batch has
  };

  RunAhead(Model& model, const std::atomic<bool>& stop)
      : model_(model), stop_(stop), state_(model.backend()), rules_(model.backend()), choices_(model.backend()) {}

  // A backend that chooses and advances by itself. VED_NO_RUN_AHEAD=1: none does.
  static bool possible(Model& model);

  // Searches that the backend chooses for, with all their rows: fewer may become more again.
  static bool takes(decode::Search& search);

  // Searches whose rows are those of the batch, in order, each with all its rows.
  void start(const std::vector<std::unique_ptr<Item>>& items, const TokenBatch& batch, const Selection& selection,
             const Ancestry& ancestry, const Memory& memory);
  void launch();
  // Waits for the oldest step that was launched and not read; its choices.
  std::span<const ops::TokenChoice> read();
  void end() { running_ = false, inFlight_ = 0, followers_.clear(); }
  void forget(const Item& item);

  bool running() const { return running_; }
  int inFlight() const { return inFlight_; }
  // Room for one more step, and a search that can use it.
  bool mayLaunch() const;
  size_t live() const;
  int64_t rows() const { return rows_; }  // padded
  std::vector<Follower>& followers() { return followers_; }

 private:
  // Offsets in bytes; arrays of int32 unless said otherwise.
  struct Layout {
    size_t ids, positionIds, row, position, length, crossSlot, crossLength, first, one;  // [maxRows]
    size_t rowInfo, groups;                                                              // SelectRow, SelectGroup
    size_t ancestry;
    size_t lines;  // [maxRows, idCapacity], the ids of rows whose rules read them
  };
  Layout layoutFor(const Ancestry& ancestry, int64_t capacity);
  void follow(const std::vector<std::unique_ptr<Item>>& items, const Selection& selection);
  void stageRows(const TokenBatch& batch, const Ancestry& ancestry, const Layout& at);
  void stageSelection(const Selection& selection, const Layout& at);
  void bind(const Selection& selection, const Ancestry& ancestry, const Layout& at, const Memory& memory);
  void setDemand(const Selection& selection);
  template <class T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(state_.data()) + offset);
  }

  Model& model_;
  const std::atomic<bool>& stop_;
  ops::Buffer state_, rules_, choices_;
  uint64_t rulesSerial_ = 0;
  std::vector<unsigned char> host_;  // what state_ begins with
  std::vector<Follower> followers_;
  int64_t rows_ = 0, idCapacity_ = 0;
  size_t choiceCount_ = 0;
  plan::Bindings bindings_;
  float* logits_ = nullptr;
  ops::SelectArgs select_{};
  ops::SelectDemand demand_;
  ops::AdvanceArgs advance_{};
  bool running_ = false;
  int inFlight_ = 0, lane_ = 0;  // lane_: of the next step
};

}  // namespace ved::engine
