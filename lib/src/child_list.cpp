#include "child_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace uvreap {

bool proc_has_our_numbers() noexcept {
  std::array<char, 16> number{};
  ssize_t length = ::readlink("/proc/self", number.data(), number.size() - 1);
  return length > 0 && std::atoi(number.data()) == ::getpid();
}

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
  file_ = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  return file_ >= 0;
}

bool child_list::open_next_thread() noexcept {
  while (file_ < 0 && !threads_.empty()) {  // one may have ended since it was listed
    (void)open_task(threads_.back());
    threads_.pop_back();
  }
  return file_ >= 0;
}

bool child_list::open(bool this_thread_only) noexcept {
  close();
  works_ = proc_has_our_numbers();
  if (!works_) return false;
  if (this_thread_only) {
    works_ = open_task(static_cast<pid_t>(::syscall(SYS_gettid)));
    return works_;
  }
  works_ = list_threads() && open_next_thread();
  return works_;
}

bool child_list::next_page(std::vector<pid_t>& pids) {
  pids.clear();
  while (file_ >= 0) {
    std::array<char, 4096> page;
    ssize_t length = ::read(file_, page.data(), page.size());
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
    ::close(file_);
    file_ = -1;
    cut_ = 0;
    (void)open_next_thread();
  }
  return false;
}

void child_list::close() noexcept {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  cut_ = 0;
  threads_.clear();
}

}  // namespace uvreap
