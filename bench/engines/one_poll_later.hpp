// An engine on libuv that tells one poll after it has collected, as uvreap does: what the child itself wrote
// to a pipe that was watched before has been read in between.
//
//     collect(slot, pidfd);    // in the poll phase, or in look(): told in the next turn's check phase
#pragma once

#include <unistd.h>

#include <vector>

#include "uv_engine.hpp"

namespace bench {

class one_poll_later : public uv_engine {
 public:
  explicit one_poll_later(engine_setting setting) : uv_engine(std::move(setting)) {
    must(uv_check_init(&loop_, &check_), "uv_check_init");
    must(uv_idle_init(&loop_, &idle_), "uv_idle_init");
    check_.data = this;
  }

 protected:
  // A pass comes right after this turn's poll.
  void due() {
    uv_check_start(&check_, [](uv_check_t* handle) { static_cast<one_poll_later*>(handle->data)->pass(); });
  }

  // The child was reaped. Its pidfd is closed when it has been told: the last close is the kernel's work.
  void collect(int slot, int pidfd) {
    collected_.push_back({slot, pidfd});
    due();
  }

  // For who collects in the pass. True: there is more, for the next turn.
  virtual bool look() { return false; }

 private:
  struct child {
    int slot;
    int pidfd;
  };

  void pass() {
    for (const child& one : ready_) {
      told(one.slot);
      ::close(one.pidfd);
    }
    ready_.clear();
    bool more = look();
    ready_.swap(collected_);
    if (more || !ready_.empty()) {
      uv_idle_start(&idle_, [](uv_idle_t*) {});  // the next poll does not sleep
    } else {
      uv_check_stop(&check_);
      uv_idle_stop(&idle_);
    }
  }

  uv_check_t check_{};
  uv_idle_t idle_{};
  std::vector<child> collected_;  // since the last pass
  std::vector<child> ready_;      // before this turn's poll
};

}  // namespace bench
