// Children for tests: gated by pipes, never by sleep, and cleaned up whatever happens.
#pragma once

#include <sys/types.h>

#include <functional>
#include <set>

namespace test {

// Children wait here until the parent lets so many of them through.
class gate {
 public:
  gate();
  ~gate();
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  void wait() const;                  // in the child; returns too when the parent is gone
  void open(int children = 1) const;  // in the parent

 private:
  int ends_[2];
};

// fork(2) and nothing else: the child does _exit(body()). Remembered, so that a failed test leaves none
// behind.
pid_t make_child(const std::function<int()>& body);
inline pid_t make_child_exiting(int code) {
  return make_child([code] { return code; });
}

// Returns when the child is a zombie (or gone), without taking its status.
void wait_until_ended(pid_t);

// What is so of this process right now, read from /proc.
std::set<pid_t> children();  // of all threads, zombies too
std::set<pid_t> zombies();
int open_descriptors();

// Kills and reaps every child that is left; the number of them.
int clean_up_children();

}  // namespace test
