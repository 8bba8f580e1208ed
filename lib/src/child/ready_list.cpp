#include "child/ready_list.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace uvreap {
namespace {

template <class Entries>
auto find_exit(Entries& in, pid_t pid) noexcept {
  return std::find_if(in.begin(), in.end(), [pid](const auto& one) { return one.is_exit_of(pid); });
}

}  // namespace

bool ready_list::make_room() noexcept try {
  if (spare_.empty()) spare_.emplace_back();
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void ready_list::add(const child_exit& exit, watch watched) noexcept {
  spare_.front() = {.exit = exit, .watched = std::move(watched)};
  const watch& its = spare_.front().watched;
  if (its.holds_the_loop()) ++holding_;
  if (its.output) its.output->collected();
  entries& where = place_of(its);
  where.splice(where.end(), spare_, spare_.begin());
}

ready_list::entries& ready_list::place_of(const watch& watched) noexcept {
  if (watched.output && !watched.output->ended()) return reading_;
  return watched.reserved() ? kept_ : waiting_;
}

void ready_list::read() noexcept {
  for (auto one = reading_.begin(); one != reading_.end();) {
    auto ended = one++;
    entries& where = place_of(ended->watched);
    if (&where != &reading_) where.splice(where.end(), reading_, ended);  // or it would come up for ever
  }
}

void ready_list::add(const child_change& change, std::shared_ptr<change_listener> listener) noexcept {
  entry& fresh = spare_.front();
  fresh = {};
  fresh.change = change;
  fresh.watched.changes = std::move(listener);
  waiting_.splice(waiting_.end(), spare_, spare_.begin());
}

void ready_list::tell_one() noexcept {
  entries telling;  // out of the list first: inside the callback this exit is nobody's any more
  telling.splice(telling.begin(), waiting_, waiting_.begin());
  entry& one = telling.front();
  bool held = one.watched.holds_the_loop();
  if (one.change) {
    if (!one.watched.changes->muted) one.watched.changes->tell(*one.change);
  } else if (one.watched.tell) {
    if (one.watched.output) one.watched.output->hand_over(one.exit);
    one.watched.tell(one.exit);
  }
  telling.clear();
  if (held) --holding_;
}

bool ready_list::detach(pid_t pid, const which_watch& which) noexcept {
  for (entries* where : {&waiting_, &kept_, &reading_}) {
    auto found = std::find_if(where->begin(), where->end(), [&](const entry& one) {
      return one.is_exit_of(pid) && (!which || which(one.watched.tell));
    });
    if (found == where->end()) continue;
    entries gone;  // destroyed when the list is in order again: captures may call back
    gone.splice(gone.begin(), *where, found);
    gone.front().watched.mute();
    if (gone.front().watched.holds_the_loop()) --holding_;
    return true;
  }
  return false;
}

bool ready_list::has(pid_t pid) const noexcept {
  auto is_in = [pid](const entries& where) { return find_exit(where, pid) != where.end(); };
  return is_in(waiting_) || is_in(kept_) || is_in(reading_);
}

bool ready_list::tell_kept(pid_t pid, watch& with) noexcept {
  for (entries* from : {&kept_, &reading_}) {
    auto found = find_exit(*from, pid);
    if (found == from->end() || !found->watched.reserved()) continue;
    if (with.reserved()) return true;  // reserved again: nothing to tell it to yet
    with.output = std::move(found->watched.output);
    found->watched = std::move(with);
    if (found->watched.holds_the_loop()) ++holding_;
    entries& where = place_of(found->watched);
    where.splice(where.end(), *from, found);
    return true;
  }
  return false;
}

void ready_list::leave_to_the_loop() noexcept {
  for (entries* where : {&waiting_, &kept_, &reading_}) {
    for (entry& one : *where) one.watched.leave_to_the_loop();
  }
}

void ready_list::clear() noexcept {
  entries gone;
  gone.splice(gone.end(), waiting_);
  gone.splice(gone.end(), kept_);
  gone.splice(gone.end(), reading_);
  for (entry& one : gone) {
    one.watched.mute();
    if (one.watched.holds_the_loop()) --holding_;
  }
}

}  // namespace uvreap
