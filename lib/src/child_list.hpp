// The children of this thread, or of all threads, as /proc/self/task/TID/children tells them
// (CONFIG_PROC_CHILDREN), a page at a time: 4 KiB is about 680 pids and 0.3 ms, and up to 1 ms behind ten
// thousand children, which the kernel counts anew for each page.
//
// It is no snapshot: when children come and go between two pages some may be passed over. Who needs all lists
// again.
#pragma once

#include <sys/types.h>

#include <vector>

namespace uvreap {

// Does /proc show this process, by its own number? That of another pid namespace (unshare -pf without
// --mount-proc) has other numbers for everybody.
[[nodiscard]] bool proc_has_our_numbers() noexcept;

class child_list {
 public:
  child_list() noexcept = default;
  ~child_list() { close(); }
  child_list(const child_list&) = delete;
  child_list& operator=(const child_list&) = delete;

  // False: the file is not there (no /proc, another namespace's, or a kernel without it), and works() says so
  // from then on.
  [[nodiscard]] bool open(bool this_thread_only) noexcept;

  // The next page of pids, in place of what was in it; false: that was all. std::bad_alloc.
  [[nodiscard]] bool next_page(std::vector<pid_t>&);
  void close() noexcept;

  [[nodiscard]] bool works() const noexcept { return works_; }

 private:
  [[nodiscard]] bool open_task(pid_t) noexcept;
  [[nodiscard]] bool open_next_thread() noexcept;
  [[nodiscard]] bool list_threads() noexcept;

  int file_ = -1;
  std::vector<pid_t> threads_;  // whose lists are still to come
  pid_t cut_ = 0;               // the digits of a number that the page cut in two
  bool works_ = true;
};

}  // namespace uvreap
