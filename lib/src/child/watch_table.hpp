// The children that a reaper was given and has not collected: pid to what to do about it.
//
// A std::map, since rounds over it (exit_index_peek, pid_round) go by "the next number above", which stays
// right whatever a callback adds and removes in between, and since its nodes can be made before a fork and
// bound after it without an allocation. A look-up among 8 000 costs well under a microsecond.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "child/captured_output.hpp"
#include "uvreap/child_exit.hpp"
#include "uvreap/reaper.hpp"

namespace uvreap {

// Who wants to hear of stops and continues. Shared with the changes that are collected and untold, so that
// those can be muted when the watch goes.
struct change_listener {
  std::function<void(const child_change&)> tell;
  bool muted = false;
};

struct watch {
  callback tell;  // empty: reserved, or forgotten
  std::shared_ptr<change_listener> changes;
  std::unique_ptr<capture> output;  // the child's, if its command captured it
  std::uint64_t deadline_ms =
      0;  // 0: none. After so many, until it is in the table; then by the loop's clock
  std::uint32_t grace_ms = 0;
  bool ref = false;
  bool forgotten = false;
  bool timed_out = false;

  watch() = default;
  watch(watch_options, callback);  // may throw std::bad_alloc

  [[nodiscard]] bool reserved() const noexcept { return !tell && !forgotten; }
  [[nodiscard]] bool holds_the_loop() const noexcept { return ref && tell != nullptr; }
  void mute() noexcept;
  void leave_to_the_loop() noexcept;
};

// Two children may have had one number; whose callback it is tells them apart.
using which_watch = std::function<bool(const callback&)>;

class watch_table {
 public:
  // A place in the table that is not bound to a pid yet: reserve before fork, bind after it.
  using place = std::map<pid_t, watch>::node_type;
  [[nodiscard]] static place reserve(watch&);  // std::bad_alloc, and then the watch is as it was
  void bind(place, pid_t) noexcept;

  [[nodiscard]] watch* find(pid_t) noexcept;
  [[nodiscard]] bool has(pid_t pid) const noexcept { return watches_.contains(pid); }
  void replace(watch& there, watch with) noexcept;
  [[nodiscard]] watch take(pid_t) noexcept;  // of a pid that is there

  void clear() noexcept;
  void leave_to_the_loop() noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return watches_.size(); }
  [[nodiscard]] std::size_t holding() const noexcept { return holding_; }
  [[nodiscard]] auto begin() const noexcept { return watches_.begin(); }
  [[nodiscard]] auto end() const noexcept { return watches_.end(); }

 private:
  std::map<pid_t, watch> watches_;
  std::size_t holding_ = 0;  // watches that keep the loop alive
};

}  // namespace uvreap
