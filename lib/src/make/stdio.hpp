// The three standard descriptors of a child that is to be made: what is opened here for them, and what the
// child does to get them.
//
// Two rules keep them from getting into each other's way. What the child copies from is above 2, or is its
// place already: so the order of the three does not matter, and stdout and stderr may be swapped. And our own
// copies and pipes are made after every given descriptor was looked at: a new one may get the number of one
// that was closed.
#pragma once

#include <spawn.h>

#include <array>

#include "os/descriptor.hpp"
#include "uvreap/command.hpp"

namespace uvreap {

class child_stdio {
 public:
  explicit child_stdio(const command&) noexcept;

  [[nodiscard]] static bool is_sound(const command&) noexcept;  // what needs no look at descriptors

  // 0 or errno: EBADF, EMFILE, ENFILE. What was opened is closed with this object, unless it is handed over.
  [[nodiscard]] int open() noexcept;
  [[nodiscard]] int add_to(posix_spawn_file_actions_t&) const noexcept;
  void hand_over() noexcept;  // there is a child: our ends are the caller's

 private:
  struct place {
    const stdio* wanted = nullptr;
    int number = -1;  // in the child
    int source = -1;  // what the child copies to it; -1: nothing is to be copied
    descriptor for_child;
    descriptor ours;
  };

  [[nodiscard]] int look_at(place&) const noexcept;
  [[nodiscard]] static int open_one(place&) noexcept;
  [[nodiscard]] static int open_pipe(place&) noexcept;

  std::array<place, 3> places_;
};

}  // namespace uvreap
