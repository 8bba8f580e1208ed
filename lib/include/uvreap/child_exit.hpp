// What a reaper tells: a child that ended, or one that was stopped or continued.
//
//     int error = reaper.watch(pid, [](const uvreap::child_exit& exit) {
//       if (exit.lost) return;              // somebody else waited for it: there is no status to invent
//       std::cout << exit << '\n';
//     });
#pragma once

#include <sys/types.h>

#include <iosfwd>
#include <string>

#include "uvreap/export.hpp"
#include "uvreap/resource_usage.hpp"
#include "uvreap/wait_status.hpp"

namespace uvreap {

// What led the reaper to the child.
enum class notice {
  sigchld,  // the signal
  index,    // the exit index: the kernel named this very child
  poller,   // the idle poller: no signal said it
  already,  // it had ended before watch()
};

// What a child wrote to a stream that its command captured (stdio::captured).
struct UVREAP_API captured {
  std::string bytes;
  bool cut_by_limit = false;  // there was more than the limit, or than there was memory for
  bool cut_by_time =
      false;  // its end was not seen: somebody held it longer than command::drain, or it could not be read

  [[nodiscard]] bool complete() const noexcept { return !cut_by_limit && !cut_by_time; }
  friend bool operator==(const captured&, const captured&) noexcept = default;
};

struct UVREAP_API child_exit {
  pid_t pid = 0;
  bool lost = false;  // somebody else took the status: status and usage are empty
  bool recovered =
      false;  // taken by somebody else, but the kernel still told it: status is true, usage empty
  bool timed_out = false;  // its deadline came first
  wait_status status{};
  resource_usage usage{};
  notice noticed_by = notice::sigchld;
  captured output{};  // empty and complete where nothing was captured; not printed by <<
  captured error_output{};

  friend bool operator==(const child_exit&, const child_exit&) noexcept = default;
};

// Stopped or continued. The kernel keeps only the latest of them: a stop that was continued before anybody
// looked is never seen.
struct UVREAP_API child_change {
  pid_t pid = 0;
  wait_status status{};

  friend bool operator==(const child_change&, const child_change&) noexcept = default;
};

UVREAP_API std::ostream& operator<<(std::ostream&, notice);
UVREAP_API std::ostream& operator<<(std::ostream&, const child_exit&);
UVREAP_API std::ostream& operator<<(std::ostream&, const child_change&);

}  // namespace uvreap
