// The three standard descriptors of a child that is to be made: what is opened here for them, and what the
// child does to get them.
//
// Two rules keep them from getting into each other's way. What the child copies from is above 2, or is its
// place already: so the order of the three does not matter, and stdout and stderr may be swapped. And our own
// copies and pipes are made after every given descriptor was looked at: a new one may get the number of one
// that was closed.
//
// What is open here for a child that is being made is listed by the spawner (make/spawner.hpp), and only
// opened, closed and handed over under its lock.
#pragma once

#include <spawn.h>

#include <array>

#include "child/queue.hpp"
#include "os/descriptor.hpp"
#include "uvreap/command.hpp"

namespace uvreap::inline v0 {

// When the child is made: in this very call, or when the caller's descriptors may be other ones.
enum class moment { now, later };

struct transit_tag {};

class child_stdio : public hook<transit_tag> {
 public:
  explicit child_stdio(const command&) noexcept;

  [[nodiscard]] static bool is_sound(const command&) noexcept;  // what needs no look at descriptors

  // 0 or errno: EBADF, EMFILE, ENFILE. What was opened is closed with this object, unless it is handed over.
  [[nodiscard]] int take_given(moment) noexcept;  // the caller's descriptors; copied, for later
  [[nodiscard]] int open_pipes() noexcept;
  [[nodiscard]] int add_to(posix_spawn_file_actions_t&) const noexcept;
  void close_childs() noexcept;
  void close_ours() noexcept;
  [[nodiscard]] bool has_ours() const noexcept;
  void hand_over() noexcept;  // there is a child: our ends are the caller's

 private:
  struct place {
    const stdio* wanted = nullptr;
    int number = -1;  // in the child
    int source = -1;  // what the child copies to it; -1: nothing is to be copied
    bool is_closed = false;
    descriptor for_child;
    descriptor ours;
  };

  [[nodiscard]] int look_at(place&, moment) const noexcept;
  [[nodiscard]] static int copy(place&, moment) noexcept;
  [[nodiscard]] static int open_pipe(place&) noexcept;

  std::array<place, 3> places_;
};

}  // namespace uvreap::inline v0
