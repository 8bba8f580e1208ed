// The children of this thread, or of all threads, a page at a time, as /proc/self/task/TID/children tells
// them (CONFIG_PROC_CHILDREN): 4 KiB is about 680 pids.
//
// The kernel counts from the first child for each page, up to 1 ms behind ten thousand, so the last pages of
// many children are the dear ones; a list of all processes, by the directory /proc, cost more in all.
//
// It is no snapshot: when some come and go between two pages others may be passed over. Who needs all lists
// again.
#pragma once

#include <sys/types.h>

#include <vector>

#include "os/descriptor.hpp"

namespace uvreap {

class child_list {
 public:
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

  descriptor file_;
  std::vector<pid_t> threads_;  // whose lists are still to come
  pid_t cut_ = 0;               // the digits of a number that the page cut in two
  bool works_ = true;
};

}  // namespace uvreap
