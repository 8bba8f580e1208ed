// What a reaper delivers: a child that ended, or one that was stopped or continued; how it ended and what it
// used.
//
//     int error = reaper.watch(pid, [](const uvreap::child_exit& exit) {
//       if (exit.lost) return;  // other code waited for it: there is no status, and none is invented
//       if (exit.status.signaled()) std::cerr << "killed by " << exit.status.term_signal() << '\n';
//       std::cout << exit << '\n';
//     });
#pragma once

#include "uvreap/export.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

struct rusage;

namespace uvreap::inline v0 {

// The wait word of wait4(2), kept bit for bit, with names for its parts. Nothing is folded into 128+n: that
// loses the core bit and the difference between a code and a signal.
class UVREAP_API wait_status {
 public:
  // Empty: there is no status, since other code took it. Every question below is answered with no.
  constexpr wait_status() noexcept = default;
  explicit constexpr wait_status(int raw) noexcept : raw_(raw) {}

  [[nodiscard]] bool exited() const noexcept;
  [[nodiscard]] int exit_code() const noexcept;  // 0 to 255; -1 if it did not exit
  [[nodiscard]] bool signaled() const noexcept;
  [[nodiscard]] int term_signal() const noexcept;  // 1 to 64; 0 if no signal killed it
  [[nodiscard]] bool core_dumped() const noexcept;
  [[nodiscard]] bool stopped() const noexcept;
  [[nodiscard]] int stop_signal() const noexcept;  // 0 if it is not stopped
  [[nodiscard]] bool continued() const noexcept;

  [[nodiscard]] bool success() const noexcept;  // exited with 0
  [[nodiscard]] bool ended() const noexcept;    // exited or signaled

  [[nodiscard]] constexpr int raw() const noexcept { return raw_; }  // -1: empty
  constexpr explicit operator bool() const noexcept { return raw_ != -1; }

  [[nodiscard]] std::string text()
      const;  // "exited with 3", "killed by signal 9 (SIGKILL)"; empty: "unknown"

  friend constexpr bool operator==(const wait_status&, const wait_status&) noexcept = default;

 private:
  int raw_ = -1;  // never a wait word: WCONTINUED is 0xffff, and no other word has all bits set
};

// As wait4(2) gives it when the child is reaped; afterwards it is gone. It includes what the child itself had
// waited for, and nothing of those it had not.
//
// WARNING: on Linux max_rss_bytes is at least what the parent had resident when it forked, since the copy
// counts until exec (exec keeps the mark): a small child of a big server looks big.
struct UVREAP_API resource_usage {
  std::chrono::microseconds user_time{0};
  std::chrono::microseconds system_time{0};
  std::int64_t max_rss_bytes = 0;  // bytes on every system; the kernel's own unit is KiB on Linux
  std::int64_t minor_faults = 0;
  std::int64_t major_faults = 0;
  std::int64_t voluntary_switches = 0;
  std::int64_t involuntary_switches = 0;
  std::int64_t blocks_in = 0;  // of 512 bytes
  std::int64_t blocks_out = 0;

  [[nodiscard]] static resource_usage from(const ::rusage&) noexcept;

  friend bool operator==(const resource_usage&, const resource_usage&) noexcept = default;
};

// What led the reaper to the child.
enum class notice {
  sigchld,  // the signal
  backend,  // the kernel named this very child
  poller,   // the idle poller: no signal said it
  already,  // it had ended before watch()
};

// What a child wrote to a stream that its command captured (stdio::captured).
struct UVREAP_API captured {
  std::string bytes;
  // There was more than the limit, or than there was memory for.
  bool cut_by_limit = false;
  // Its end was not seen: a process held it longer than command::drain, or it could not be read.
  bool cut_by_time = false;

  [[nodiscard]] bool complete() const noexcept { return !cut_by_limit && !cut_by_time; }
  friend bool operator==(const captured&, const captured&) noexcept = default;
};

struct UVREAP_API child_exit {
  pid_t pid = 0;
  // Other code took the status: status and usage are empty.
  bool lost = false;
  // Other code took the status, but the kernel still had it: status is true, usage empty.
  bool recovered = false;
  // Its deadline came first.
  bool timed_out = false;
  wait_status status{};
  resource_usage usage{};
  notice noticed_by = notice::sigchld;
  // Empty and complete where nothing was captured; not printed by <<.
  captured output{};
  captured error_output{};
  // Of post_watch() only: why the child could not be watched. UV_EEXIST: it is watched already, and lives or
  // has ended as far as that watch says. UV_ESRCH, with lost: no child of ours. UV_EINVAL, with lost:
  // pid <= 0. UV_ENOMEM.
  int error = 0;

  friend bool operator==(const child_exit&, const child_exit&) noexcept = default;
};

// Stopped or continued. The kernel keeps only the latest of them: a stop that was continued before the reaper
// looked is never seen.
struct UVREAP_API child_change {
  pid_t pid = 0;
  wait_status status{};

  friend bool operator==(const child_change&, const child_change&) noexcept = default;
};

UVREAP_API std::ostream& operator<<(std::ostream&, const wait_status&);
UVREAP_API std::ostream& operator<<(std::ostream&, const resource_usage&);
UVREAP_API std::ostream& operator<<(std::ostream&, notice);
UVREAP_API std::ostream& operator<<(std::ostream&, const child_exit&);
UVREAP_API std::ostream& operator<<(std::ostream&, const child_change&);

}  // namespace uvreap::inline v0
