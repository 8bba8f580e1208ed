// The record of one child, from the moment before it is made until its exit has been delivered.
//
//     unborn -> watched -> collected -> (draining) -> delivering
//                  \-> released: the child is the caller's
//
// It is allocated once, before anything that cannot be undone; from there to the delivery nothing is
// allocated. It has one owner at a time: who makes it (unborn), the table of living children (watched), the
// table of collected ones, and the stack of the delivery. All other links are hooks, which own nothing and go
// with it. So whatever a callback does (detach itself and others, watch the same number again, close and
// destroy the reaper) leaves no link to a record that is gone.
//
// Inside, only a look-up by number names a child by its pid; what it is known by is its birth (os/birth.hpp).
// Two watches of one number are told apart by their serials.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "child/agenda.hpp"
#include "child/queue.hpp"
#include "os/birth.hpp"
#include "os/claims.hpp"
#include "uvreap/child_exit.hpp"
#include "uvreap/reaper.hpp"

namespace uvreap {

class captured_output;
class termination;
struct child;

struct look_tag {};    // it may have ended, by some notice
struct ready_tag {};   // something of it is to be delivered
struct round_tag {};   // its backend does not name it: the poller looks
struct change_tag {};  // its stops and continues are wanted: SIGCHLD has them looked for

using look_queue = queue<child, look_tag>;
using ready_queue = queue<child, ready_tag>;

enum class slot : std::uint8_t { none, ring, pidfd, peek };

// What a deadline needs, only of a child that has one.
struct deadline : entry {
  deadline(child* owner, const watch_options& options);
  child* whose;
  std::uint64_t after_ms;  // watch()
  std::uint64_t grace_ms;
};

struct child : hook<look_tag>, hook<ready_tag>, hook<round_tag>, hook<change_tag> {
  child(watch_options, callback);  // may throw std::bad_alloc
  ~child();

  template <class Tag>
  void leave() noexcept {
    hook<Tag>::unlink();
  }

  [[nodiscard]] pid_t pid() const noexcept { return id.pid; }
  [[nodiscard]] bool is_reserved() const noexcept { return !tell && !detached; }
  [[nodiscard]] bool wants_changes() const noexcept { return on_change != nullptr; }
  [[nodiscard]] bool is_deliverable() const noexcept;  // of a collected one
  void take_over(child& from) noexcept;                // what a later watch() brings to a child that is there
  [[nodiscard]] child_exit exit() noexcept;            // hands the captured output over

  using change_callback = std::function<void(const child_change&)>;

  identity id;
  claims::word claim = 0;  // what this reaper claims it by
  std::uint64_t serial;
  child* next_of_bucket = nullptr;  // children.hpp

  callback tell;  // empty: reserved, or detached
  std::unique_ptr<change_callback> on_change;
  std::unique_ptr<deadline> due;
  std::unique_ptr<captured_output> output;  // if its command captured it
  std::shared_ptr<termination> ending;      // its termination, while it lives

  wait_status change{};  // collected and undelivered; the next is left with the kernel until it is delivered
  wait_status status{};
  resource_usage usage{};
  int error = 0;
  // By its backend: what that says of an older child of the number is not of this one.
  std::uint32_t armed_as = 0;
  notice noticed_by = notice::sigchld;
  slot on = slot::none;
  bool ref = false;
  bool holds_the_loop = false;
  bool detached = false;
  bool lost = false;
  bool recovered = false;
  bool timed_out = false;
  bool unclaimed = false;  // any(): its callback is the reaper's on_unclaimed
};

// This child may have ended: it is to be looked at, and what said so first is noted.
inline void name(child& one, notice who, look_queue& to) noexcept {
  if (to.push_back(one)) one.noticed_by = who;
}

}  // namespace uvreap
