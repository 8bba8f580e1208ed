// What one writes by hand on libuv: a pidfd and a uv_poll_t for each child.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "uv_engine.hpp"

namespace bench {
namespace {

class poll_per_pidfd : public uv_engine {
 public:
  using uv_engine::uv_engine;
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
    auto readable = [](uv_poll_t* poll, int, int) { static_cast<child*>(poll->data)->look(); };
    must(uv_poll_start(&made->poll, UV_READABLE, readable), "uv_poll_start");
  }

 private:
  struct child {
    uv_poll_t poll{};
    poll_per_pidfd* owner = nullptr;
    pid_t pid = 0;
    int slot = 0;
    int pidfd = -1;

    void look() {
      if (::wait4(pid, nullptr, WNOHANG, nullptr) != pid) return;
      owner->told(slot);
      uv_close(reinterpret_cast<uv_handle_t*>(&poll), [](uv_handle_t* closed) {
        auto* gone = static_cast<child*>(closed->data);
        ::close(gone->pidfd);
        delete gone;
      });
    }
  };
};

}  // namespace

std::vector<engine_entry> poll_per_pidfd_entries() {
  return {{.name = "poll_per_pidfd",
           .version = uv_version(),
           .make = maker<poll_per_pidfd>(),
           .descriptors_per_child = 1}};
}

}  // namespace bench
