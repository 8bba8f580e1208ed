// What a pass collected and nobody has been told: exits and changes in the order of their collection, the
// exits of reserved children, kept until watch() brings their callback, and those whose captured output is
// still being read.
#pragma once

#include <list>
#include <memory>
#include <optional>

#include "uvreap/child_exit.hpp"
#include "child/watch_table.hpp"

namespace uvreap {

class ready_list {
 public:
  // Room for one more, made before the status is taken from the kernel, so that taking it cannot fail
  // half-way.
  [[nodiscard]] bool make_room() noexcept;
  void add(const child_exit&, watch) noexcept;
  void add(const child_change&, std::shared_ptr<change_listener>) noexcept;

  // Tells the oldest. The callback may do anything, to this list too. Its captures are destroyed and its hold
  // on the loop ends after it has returned. An exception ends the program.
  void tell_one() noexcept;

  bool detach(pid_t, const which_watch& = {}) noexcept;  // drops its telling; false: it is not here
  [[nodiscard]] bool has(pid_t) const noexcept;
  bool tell_kept(pid_t, watch&) noexcept;  // a reserved one has its callback now; false: it is not here

  void read() noexcept;  // some captured output has ended: whose it was can be told

  void clear() noexcept;
  void leave_to_the_loop() noexcept;
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return waiting_.size(); }
  [[nodiscard]] std::size_t holding() const noexcept { return holding_; }

 private:
  struct entry {
    child_exit exit{};
    watch watched{};
    std::optional<child_change> change{};

    [[nodiscard]] bool is_exit_of(pid_t pid) const noexcept { return !change && exit.pid == pid; }
  };
  using entries = std::list<entry>;

  [[nodiscard]] entries& place_of(const watch&) noexcept;

  entries waiting_;
  entries kept_;  // of reserved children, oldest first
  entries reading_;
  entries spare_;  // the room
  std::size_t holding_ = 0;
};

}  // namespace uvreap
