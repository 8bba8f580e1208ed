// Makes the children of a cell and holds their gates: helper_child.cpp, made alike for every engine.
//
//     nursery children(8000);
//     int slot = children.new_slot();
//     pid_t pid = children.make(slot);
//     children.wait_parked(slot);      // it stands at its gate
//     children.let_go(slot);           // it stamps the clock and ends
//
// A child dies with the thread that made it, so none is left behind; the runner reaps it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "slot.hpp"

namespace bench {

class nursery {
 public:
  explicit nursery(int capacity);  // throws std::system_error
  ~nursery();
  nursery(const nursery&) = delete;
  nursery& operator=(const nursery&) = delete;

  int new_slot();  // its gate is closed; throws std::length_error when all are taken
  void open_gate(int which) { slots_[which].gate.store(1); }  // before it is made: it ends at once
  void chain(int which, int first, int second);               // whom it lets go before it ends

  pid_t make(int which);                              // posix_spawn (vfork); throws std::system_error
  std::vector<std::string> command(int which) const;  // for an engine that makes its children itself

  void wait_parked(int which);  // throws std::runtime_error after some seconds
  // For who makes its children elsewhere: called again and again meanwhile, and may throw why none will come.
  void look_while_waiting(std::function<void()> look) { look_ = std::move(look); }
  void let_go(int which) { bench::let_go(slots_[which]); }
  [[nodiscard]] std::int64_t stamp(int which) const { return slots_[which].stamp; }

 private:
  int capacity_;
  int used_ = 0;
  int memory_ = -1;
  slot* slots_ = nullptr;
  std::function<void()> look_;
};

}  // namespace bench
