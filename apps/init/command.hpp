// The command's start: its streams, signals, group and terminal, and then its exec.
#pragma once

#include <sys/types.h>

#include "settings.hpp"
#include "signals.hpp"
#include "terminal.hpp"
#include "writer.hpp"

namespace pid1 {

// Its pid, or -errno. Called with all signals blocked. A command that cannot be run is a child that says so
// and exits with the status for that.
[[nodiscard]] pid_t start_command(const settings&, const inherited_signals&, const terminal&, writer& errors);

}  // namespace pid1
