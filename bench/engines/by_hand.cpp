// What one writes by hand on libuv: a pidfd and a uv_poll_t for each child, wait4 when it is readable, and
// the callback one poll later. Ratios are to this one. Beside it the same with uvreap's probe before wait4,
// and the same told at once: what the probe and the second poll cost is the difference.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "one_poll_later.hpp"
#include "probe.hpp"

namespace bench {
namespace {

enum class way { at_once, later, probed };

class by_hand : public one_poll_later {
 public:
  by_hand(engine_setting setting, way how) : one_poll_later(std::move(setting)), way_(how) {}
  std::string start() override { return {}; }

  void watch(pid_t pid, int slot) override {
    auto* made = new child;
    made->owner = this;
    made->pid = pid;
    made->slot = slot;
    made->pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (made->pidfd < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
    made->poll.data = made;
    must(uv_poll_init(&loop_, &made->poll, made->pidfd), "uv_poll_init");
    auto readable = [](uv_poll_t* poll, int, int) {
      auto* one = static_cast<child*>(poll->data);
      one->owner->look_at(*one);
    };
    must(uv_poll_start(&made->poll, UV_READABLE, readable), "uv_poll_start");
  }

 private:
  struct child {
    uv_poll_t poll{};
    by_hand* owner = nullptr;
    pid_t pid = 0;
    int slot = 0;
    int pidfd = -1;
  };

  void look_at(child& one) {
    if (way_ == way::probed && !has_ended(one.pidfd)) return;
    if (!reap(one.pid)) return;
    if (way_ == way::at_once) {
      told(one.slot);
      close(one, [](uv_handle_t* closed) {
        ::close(static_cast<child*>(closed->data)->pidfd);
        delete static_cast<child*>(closed->data);
      });
    } else {
      collect(one.slot, one.pidfd);
      close(one, [](uv_handle_t* closed) { delete static_cast<child*>(closed->data); });
    }
  }

  static void close(child& one, uv_close_cb closed) {
    uv_close(reinterpret_cast<uv_handle_t*>(&one.poll), closed);
  }

  way way_;
};

engine_entry entry(const char* name, way how) {
  return {.name = name, .version = uv_version(), .make = maker<by_hand>(how), .descriptors_per_child = 1};
}

}  // namespace

std::vector<engine_entry> by_hand_entries() {
  return {entry("by_hand", way::later), entry("by_hand_probed", way::probed),
          entry("by_hand_at_once", way::at_once)};
}

}  // namespace bench
