// Orphans for any() reapers: grandchildren whose parent has ended, and what they themselves say of their end.
//
//     test::orphans orphans(100);
//     orphans.make();            // their parent has ended and is waited for; they wait at a gate
//     orphans.let_end();
//     stage.run_until([&] { return told.size() == 100; });
//     orphans.check(told);       // each once, with its own status
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "children.hpp"
#include "uvreap/reaper.hpp"

namespace test {

class stage;

class orphans {
 public:
  // Each ends so much later than the one before.
  explicit orphans(int count, std::chrono::microseconds apart = std::chrono::microseconds(200));
  ~orphans();
  orphans(const orphans&) = delete;
  orphans& operator=(const orphans&) = delete;

  void make();
  void
  make_chain();  // each is the parent of the next, and ends when it has made it: nothing waits at the gate
  void let_end() const { gate_.open(count_); }
  void wait_until_all_ended() const;  // by number, so of children of this process only

  [[nodiscard]] pid_t pid(int slot = 0) const { return slots_[slot].pid; }
  [[nodiscard]] std::uint64_t ended_ns(int slot = 0) const {
    return slots_[slot].ended_ns;
  }  // uv_hrtime's clock

  void check(const std::vector<uvreap::child_exit>& told) const;

 private:
  struct slot {
    pid_t pid;
    int word;
    std::uint64_t ended_ns;
  };

  [[noreturn]] void end(int slot, bool by_signal);
  [[noreturn]] void chain_from(int slot);

  int count_;
  std::chrono::microseconds apart_;
  gate gate_;
  slot* slots_;  // shared with them
};

// any() in this run's mode. Where SIGCHLD is heard the poller is so slow that it cannot be what found an
// orphan.
uvreap::options any_options(std::chrono::milliseconds grace, std::vector<uvreap::child_exit>* told);

// A hundred children that are watched, and as many orphans, end together: each is told once, to whom it
// concerns.
void end_beside_watched(stage&, const orphans&, const std::vector<uvreap::child_exit>& told);

}  // namespace test
