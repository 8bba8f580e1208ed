// What a reaper tells: a child that ended, or one that was stopped or continued.
//
//     reaper.watch(pid, [](const uvreap::child_exit& exit) {
//       if (exit.lost) return;              // somebody else waited for it: there is no status to invent
//       std::cout << exit << '\n';
//     });
#pragma once

#include <sys/types.h>

#include <iosfwd>

#include "uvreap/export.hpp"
#include "uvreap/resource_usage.hpp"
#include "uvreap/wait_status.hpp"

namespace uvreap {

// Who said first that the child may have ended.
enum class notice {
  sigchld,  // the signal
  index,    // the exit index: the kernel named this very child
  poller,   // the idle poller: no signal said it
  already,  // it had ended before watch()
};

struct UVREAP_API child_exit {
  pid_t pid = 0;
  bool lost = false;  // somebody else took the status: status and usage are empty
  bool recovered =
      false;  // taken by somebody else, but the kernel still told it: status is true, usage empty
  bool timed_out = false;  // it was ended by its deadline
  wait_status status{};
  resource_usage usage{};
  notice noticed_by = notice::sigchld;

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
