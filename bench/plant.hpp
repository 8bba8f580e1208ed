// Faults planted on purpose, so that a test can show that the bench would see them.
#pragma once

#include <string>

namespace bench {

struct planted {
  long delay_us = 0;         // spun away in the way of every callback
  bool system_call = false;  // one more for every child

  void suffer() const noexcept;
};

// "delay=10us" or "syscall"; throws std::invalid_argument.
void plant(planted& in, const std::string& what);

}  // namespace bench
