// Where unclaimed children are looked for, a page at a time.
//
// The children of this thread, or of all threads, as /proc/self/task/TID/children tells them
// (CONFIG_PROC_CHILDREN): 4 KiB is about 680 pids. But the kernel counts from the first child for each page,
// up to 1 ms behind ten thousand. So beyond a few thousand children all processes are listed instead, by the
// directory /proc, whose entries the kernel finds by number: more of them, and none dearer than the first.
//
// The children are no snapshot: when some come and go between two pages others may be passed over. Who needs
// all lists again.
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
  [[nodiscard]] bool open_children(bool this_thread_only) noexcept;

  // False: /proc does not show them all (hidepid), or there is no descriptor left; the list that was open
  // stays so.
  [[nodiscard]] bool open_processes() noexcept;

  // The next page of pids, in place of what was in it; false: that was all. std::bad_alloc.
  [[nodiscard]] bool next_page(std::vector<pid_t>&);
  void close() noexcept;

  [[nodiscard]] bool works() const noexcept { return works_; }
  [[nodiscard]] bool is_of_processes() const noexcept { return directory_ >= 0; }

 private:
  [[nodiscard]] bool next_page_of_children(std::vector<pid_t>&);
  [[nodiscard]] bool next_page_of_processes(std::vector<pid_t>&);
  [[nodiscard]] bool open_task(pid_t) noexcept;
  [[nodiscard]] bool open_next_thread() noexcept;
  [[nodiscard]] bool list_threads() noexcept;

  int directory_ = -1;
  int file_ = -1;
  std::vector<pid_t> threads_;  // whose lists are still to come
  pid_t cut_ = 0;               // the digits of a number that the page cut in two
  bool works_ = true;
};

}  // namespace uvreap
