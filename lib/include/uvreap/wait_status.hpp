// How a child ended, or how it changed: the wait word of wait4(2) with names for its parts.
//
//     uvreap::wait_status status = exit.status;
//     if (status.signaled()) std::cerr << "killed by signal " << status.term_signal() << '\n';
//     std::cout << status << '\n';          // "exited with 3", "killed by signal 9 (SIGKILL)"
//
// The word is kept bit for bit. Nothing is folded into 128+n: that loses the core bit and the difference
// between a code and a signal; a program that wants a shell's number folds it itself.
#pragma once

#include <iosfwd>
#include <string>

#include "uvreap/export.hpp"

namespace uvreap {

class UVREAP_API wait_status {
 public:
  // Empty: there is no status, since somebody else took it. Every question below is answered with no.
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
  [[nodiscard]] bool ended() const noexcept { return exited() || signaled(); }

  [[nodiscard]] constexpr int raw() const noexcept { return raw_; }  // -1: empty
  constexpr explicit operator bool() const noexcept { return raw_ != -1; }

  [[nodiscard]] std::string text() const;  // "unknown" if empty

  friend constexpr bool operator==(const wait_status&, const wait_status&) noexcept = default;

 private:
  int raw_ = -1;  // never a wait word: WCONTINUED is 0xffff, and no other word has all bits set
};

UVREAP_API std::ostream& operator<<(std::ostream&, const wait_status&);

}  // namespace uvreap
