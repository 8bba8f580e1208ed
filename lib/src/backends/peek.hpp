// The backend that needs nothing but wait: waitid(P_ALL, WNOWAIT) shows the first zombie without taking it.
//
// On SIGCHLD it peeks, and peeks again as long as it sees one of ours, for the sweep has taken that one by
// then. A zombie that is not ours stays first for ever (swift-subprocess #125, systemd #13886), so then our
// own children are gone through, once. An empty peek proves nothing: a stolen exit leaves no zombie, and a
// child of clone() with another exit signal is invisible without __WALL; the idle poller starts a round over
// all, a SIGCHLD alone does not.
//
// The look after the last zombie walks all children to find none. So that this does not stand between a child
// and its callback, a take() that names one is followed by one that says "enough for now"; as long as more
// are found, the number named between two such pauses doubles, and a burst is collected at full speed.
//
// Cost: the kernel walks the children that live before the first zombie (about 25 ns each on the machine of
// the design); a round is one look at each child.
#pragma once

#include "child/children.hpp"
#include "child/round.hpp"

namespace uvreap {

class peek {
 public:
  explicit peek(const children& living) noexcept : living_(living) {}

  void add(child& one) noexcept {
    one.on = slot::peek;
    armed_.add(one);
  }
  void remove(child&) noexcept;
  bool wake(notice) noexcept;  // true: there may be one to name first

  bool may_have_first = false;  // one to name first, that is
  void take_first(look_queue&) noexcept;
  [[nodiscard]] bool has_round() const noexcept { return armed_.is_under_way(); }
  void take_round(look_queue& out, std::size_t limit) noexcept { armed_.take(out, limit); }

  [[nodiscard]] std::size_t size() const noexcept { return armed_.size(); }
  [[nodiscard]] child& turn() noexcept { return armed_.turn(); }

 private:
  [[nodiscard]] child* first_zombie() noexcept;

  const children& living_;
  round<round_tag> armed_;
  int named_ = 0;  // since the last pause
  int until_pause_ = 1;
  const child* last_ = nullptr;  // seen and not removed since: its status could not be taken
};

}  // namespace uvreap
