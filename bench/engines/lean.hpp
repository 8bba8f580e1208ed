// The leanest core that keeps uvreap's promises, as the floor of its design: no options, no errors, no
// orphans, no deadlines. What names the child that ended is a ring or a private epoll set; then the probe,
// wait4, and the callback one poll later. With SIGCHLD beside it, or without.
#pragma once

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <unordered_map>

#include "one_poll_later.hpp"
#include "probe.hpp"

namespace bench {

class lean : public one_poll_later {
 public:
  lean(engine_setting setting, bool with_sigchld)
      : one_poll_later(std::move(setting)), with_sigchld_(with_sigchld) {}

  std::string start() override {
    int polled = -1;
    if (std::string why = open(polled); !why.empty()) return why;
    must(uv_poll_init(&loop_, &poll_, polled), "uv_poll_init");
    poll_.data = this;
    auto readable = [](uv_poll_t* handle, int, int) { static_cast<lean*>(handle->data)->wake(); };
    must(uv_poll_start(&poll_, UV_READABLE, readable), "uv_poll_start");
    if (!with_sigchld_) return {};
    must(uv_signal_init(&loop_, &signal_), "uv_signal_init");
    signal_.data = this;
    auto heard = [](uv_signal_t* handle, int) { static_cast<lean*>(handle->data)->wake(); };
    must(uv_signal_start(&signal_, heard, SIGCHLD), "uv_signal_start");
    return {};
  }

  void watch(pid_t pid, int slot) override {
    int pidfd = open_pidfd(pid);
    auto held = arm(pid, pidfd, living_.size());
    living_[pid] = {.slot = slot, .pidfd = held ? pidfd : -1, .inode = held ? 0 : inode_of(pidfd)};
    if (!held) ::close(pidfd);
  }

 protected:
  // The descriptor for the loop. Empty, or why it cannot run here.
  virtual std::string open(int& polled) = 0;
  // True: the pidfd is to be held until the child was told.
  virtual bool arm(pid_t, int pidfd, std::size_t living) = 0;
  virtual void disarm(int pidfd) = 0;
  // Looks at each child that was named. True: there may be more.
  virtual bool look_at_named() = 0;

  void look_at(pid_t pid) {
    auto found = living_.find(pid);
    if (found == living_.end()) return;
    child one = found->second;
    if (one.pidfd < 0) one.pidfd = open_pidfd(pid);
    bool ours = one.inode == 0 || inode_of(one.pidfd) == one.inode;
    if (!ours || !has_ended(one.pidfd) || !reap(pid)) {
      if (one.inode != 0) ::close(one.pidfd);
      return;
    }
    disarm(one.pidfd);
    living_.erase(found);
    collect(one.slot, one.pidfd);
  }

 private:
  struct child {
    int slot = 0;
    int pidfd = -1;   // -1: opened again when the child was named, and its inode compared
    ino_t inode = 0;  // then
  };

  static int open_pidfd(pid_t pid) {
    int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
    return pidfd;
  }

  // The birth (Linux 6.9; before, all pidfds have one inode, and nothing is compared but the calls are made).
  static ino_t inode_of(int pidfd) {
    struct stat about {};
    ::fstat(pidfd, &about);
    return about.st_ino;
  }

  void wake() {
    is_woken_ = true;
    due();
  }

  bool look() override { return is_woken_ && (is_woken_ = look_at_named()); }

  bool with_sigchld_;
  bool is_woken_ = false;
  uv_poll_t poll_{};
  uv_signal_t signal_{};
  std::unordered_map<pid_t, child> living_;
};

}  // namespace bench
