// Things that are due at a time: deadlines and terminations, each kind on an agenda of its own.
//
// An entry brings its node with it, so being put on the agenda, and moved on it, cannot fail.
#pragma once

#include <cstdint>
#include <map>

#include "os/alarm.hpp"

namespace uvreap {

class agenda;

class entry {
 public:
  entry();  // may throw std::bad_alloc
  ~entry() { cancel(); }

  void cancel() noexcept;
  [[nodiscard]] bool is_set() const noexcept { return on_ != nullptr; }
  [[nodiscard]] std::uint64_t at_ms() const noexcept { return at_->first; }  // of one that is set

 private:
  friend class agenda;
  using nodes = std::multimap<std::uint64_t, entry*>;

  nodes::node_type node_;
  nodes::iterator at_{};
  agenda* on_ = nullptr;  // null: the node is here
};

class agenda {
 public:
  agenda() = default;
  agenda(const agenda&) = delete;
  agenda& operator=(const agenda&) = delete;

  void set(entry&, std::uint64_t at_ms) noexcept;
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] bool is_due() const noexcept { return next_ms <= alarm::now_ms(); }
  // Of one that is not empty.
  [[nodiscard]] entry& first() const noexcept { return *entries_.begin()->second; }

  std::uint64_t next_ms = alarm::never;  // when the first is due

 private:
  friend class entry;
  void note_first() noexcept;

  entry::nodes entries_;
};

}  // namespace uvreap
