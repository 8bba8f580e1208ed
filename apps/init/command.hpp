// The command's start: its streams, signals, group and terminal, and then its exec.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "settings.hpp"
#include "signals.hpp"
#include "terminal.hpp"
#include "writer.hpp"

namespace pid1 {

struct running_command {
  pid_t pid = 0;  // 0: there is none; negative: -errno, no process could be made
  std::uint64_t began_ns = 0;
};

// Called with all signals blocked. A command that cannot be run is a child that says so and exits with the
// status for that.
[[nodiscard]] running_command start_command(const settings&, const inherited_signals&, const terminal&,
                                            writer& errors);

}  // namespace pid1
