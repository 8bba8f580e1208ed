// A table of child records by number, which owns them. Several collected ones may have one number.
//
// The links are in the records, and the buckets grow ahead of need: where there is no memory for more of them
// the chains get longer, and putting a record in never fails.
#pragma once

#include <memory>
#include <vector>

#include "child/child.hpp"

namespace uvreap {

class children {
 public:
  children() : buckets_(64) {}  // may throw std::bad_alloc
  ~children() { clear(); }
  children(const children&) = delete;
  children& operator=(const children&) = delete;

  void make_room() noexcept;
  child& add(std::unique_ptr<child>) noexcept;
  [[nodiscard]] std::unique_ptr<child> remove(child&) noexcept;  // of one that is there
  [[nodiscard]] std::unique_ptr<child> remove_any() noexcept;    // null: the table is empty
  // The destructors of captures may call in: each record is out of the table before it goes.
  void clear() noexcept {
    while (remove_any() != nullptr) {
    }
  }

  // serial 0: whichever.
  [[nodiscard]] child* find(pid_t, std::uint64_t serial = 0) const noexcept;
  // The youngest: the caller knows of no other by that number.
  [[nodiscard]] child* find_reserved(pid_t) const noexcept;
  // One that is no error of a hand-over, and nobody's orphan: a watch() was for it.
  [[nodiscard]] bool has_watched(pid_t) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  template <class Visit>
  void each(Visit visit) const noexcept {
    for (child* one : buckets_) {
      for (; one != nullptr; one = one->next_of_bucket) visit(*one);
    }
  }

 private:
  std::vector<child*> buckets_;  // a power of two of them, so that pid & (size - 1) is a child's
  std::size_t size_ = 0;
  std::size_t emptied_to_ = 0;  // where remove_any() goes on
};

}  // namespace uvreap
