#include "ready_list.hpp"

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
  entries& where = its.reserved() ? kept_ : waiting_;
  where.splice(where.end(), spare_, spare_.begin());
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
    one.watched.tell(one.exit);
  }
  telling.clear();
  if (held) --holding_;
}

bool ready_list::forget(pid_t pid, const which_watch& which) noexcept {
  for (entries* where : {&waiting_, &kept_}) {
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
  return find_exit(waiting_, pid) != waiting_.end() || find_exit(kept_, pid) != kept_.end();
}

bool ready_list::tell_kept(pid_t pid, watch& with) noexcept {
  auto found = find_exit(kept_, pid);
  if (found == kept_.end()) return false;
  if (with.reserved()) return true;  // reserved again: nothing to tell it to yet
  found->watched = std::move(with);
  if (found->watched.holds_the_loop()) ++holding_;
  waiting_.splice(waiting_.end(), kept_, found);
  return true;
}

void ready_list::clear() noexcept {
  entries gone;
  gone.splice(gone.end(), waiting_);
  gone.splice(gone.end(), kept_);
  for (entry& one : gone) {
    one.watched.mute();
    if (one.watched.holds_the_loop()) --holding_;
  }
}

}  // namespace uvreap
