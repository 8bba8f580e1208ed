#include "orphans/child_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <string>

namespace uvreap {
namespace {

// Is it mounted with hidepid (proc(5)), so that the processes of other users may be missing in it?
bool proc_hides_processes() noexcept try {
  // "36 35 0:5 / /proc rw,nosuid - proc proc rw,hidepid=invisible" (proc(5)); the last such line counts, as
  // it was mounted on top.
  bool hides = false;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" / /proc ") == std::string::npos) continue;
    auto option = line.find("hidepid=", line.find(" - proc "));
    hides = option != std::string::npos && line.compare(option, 11, "hidepid=off") != 0;
  }
  return hides;
} catch (const std::bad_alloc&) {
  return true;
}

}  // namespace

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

bool child_list::open_children(bool this_thread_only) noexcept {
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

bool child_list::open_processes() noexcept {
  static const bool hidden = proc_hides_processes();
  int directory = hidden ? -1 : ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  close();
  directory_ = directory;
  return true;
}

bool child_list::next_page(std::vector<pid_t>& pids) {
  pids.clear();
  return is_of_processes() ? next_page_of_processes(pids) : next_page_of_children(pids);
}

bool child_list::next_page_of_processes(std::vector<pid_t>& pids) {
  // Half of what readdir would ask for: the kernel makes an inode for each, 0.25 ms for 4 KiB.
  alignas(dirent64) std::array<char, 2048> page;
  ssize_t length = ::getdents64(directory_, page.data(), page.size());
  for (ssize_t at = 0; at < length;) {
    auto* entry = reinterpret_cast<const dirent64*>(page.data() + at);
    if (int number = std::atoi(entry->d_name); number > 0) pids.push_back(number);
    at += entry->d_reclen;
  }
  return length > 0;
}

bool child_list::next_page_of_children(std::vector<pid_t>& pids) {
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
  if (directory_ >= 0) ::close(directory_);
  directory_ = -1;
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  cut_ = 0;
  threads_.clear();
}

}  // namespace uvreap
