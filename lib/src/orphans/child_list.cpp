#include "orphans/child_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "os/syscalls.hpp"

namespace uvreap {

bool child_list::list_threads() noexcept try {
  std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir("/proc/self/task"), ::closedir);
  if (!tasks) return false;
  while (dirent* task = ::readdir(tasks.get())) {
    if (int number = std::atoi(task->d_name); number > 0) threads_.push_back(number);
  }
  return !threads_.empty();
} catch (const std::bad_alloc&) {
  return false;
}

bool child_list::open_task(pid_t thread) noexcept {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/children", thread);
  file_.reset(::open(path.data(), O_RDONLY | O_CLOEXEC));
  return static_cast<bool>(file_);
}

bool child_list::open_next_thread() noexcept {
  while (!file_ && !threads_.empty()) {  // one may have ended since it was listed
    (void)open_task(threads_.back());
    threads_.pop_back();
  }
  return static_cast<bool>(file_);
}

bool child_list::open(bool this_thread_only) noexcept {
  close();
  works_ =
      sys::proc_has_our_numbers() && (this_thread_only ? open_task(static_cast<pid_t>(::syscall(SYS_gettid)))
                                                       : list_threads() && open_next_thread());
  return works_;
}

bool child_list::next_page(std::vector<pid_t>& pids) {
  pids.clear();
  while (file_) {
    std::array<char, 4096> page;
    ssize_t length = ::read(file_.get(), page.data(), page.size());
    for (ssize_t i = 0; i < length; ++i) {
      char character = page[static_cast<std::size_t>(i)];
      if (character >= '0' && character <= '9') {
        cut_ = cut_ * 10 + (character - '0');
      } else if (cut_ != 0) {
        pids.push_back(cut_);
        cut_ = 0;
      }
    }
    if (length > 0) return true;
    file_.reset();
    cut_ = 0;
    (void)open_next_thread();
  }
  return false;
}

void child_list::close() noexcept {
  file_.reset();
  cut_ = 0;
  threads_.clear();
}

}  // namespace uvreap
