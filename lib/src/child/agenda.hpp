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
  entry(const entry&) = delete;
  entry& operator=(const entry&) = delete;

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
  // due() is called on the loop when something has come due that was not when it was set.
  [[nodiscard]] int open(uv_loop_t& loop, std::function<void()> due,
                         const std::shared_ptr<close_barrier>& barrier) noexcept {
    return alarm_.open(loop, std::move(due), barrier);
  }
  void close() noexcept { alarm_.close(); }
  void abandon_after_fork() noexcept { alarm_.abandon_after_fork(); }

  void set(entry&, std::uint64_t at_ms) noexcept;
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] bool is_due() const noexcept;
  // Of one that is not empty.
  [[nodiscard]] entry& first() const noexcept { return *entries_.begin()->second; }

 private:
  friend class entry;
  void set_alarm() noexcept { alarm_.set(entries_.empty() ? alarm::never : entries_.begin()->first); }

  entry::nodes entries_;
  alarm alarm_;
};

}  // namespace uvreap
