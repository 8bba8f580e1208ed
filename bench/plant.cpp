#include "plant.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>

#include "clock.hpp"

namespace bench {

void planted::suffer() const noexcept {
  if (system_call) ::syscall(SYS_getppid);
  if (delay_us == 0) return;
  std::int64_t until = now() + delay_us * 1000;
  while (now() < until) {
  }
}

void plant(planted& in, const std::string& what) {
  if (what == "syscall") {
    in.system_call = true;
    return;
  }
  const std::string delay = "delay=";
  if (!what.starts_with(delay) || !what.ends_with("us")) throw std::invalid_argument("cannot plant " + what);
  in.delay_us = std::stol(what.substr(delay.size()));
}

}  // namespace bench
