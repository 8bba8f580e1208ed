#include "orphans/orphans.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <new>
#include <utility>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr std::chrono::hours longest_grace{24 * 365 * 100};
constexpr std::uint64_t shortest_between_rounds_ns = 10'000'000;
constexpr std::uint64_t longest_between_rounds_ns = 50'000'000;  // half of what an exit may be delivered late
constexpr std::size_t many_children = 3000;                      // whose list is dear
constexpr int most_stored = 256;
constexpr int page_units = 8;

}  // namespace

orphans::orphans(claims& all, std::uint32_t mark, const children& living, children& collected,
                 ready_queue& ready, const loop_thread& thread, const options& options,
                 statistics& stats) noexcept
    : claims_(all),
      mark_(mark),
      living_(living),
      collected_(collected),
      ready_(ready),
      thread_(thread),
      options_(options),
      stats_(stats) {
  // A hundred years are for ever; more would not fit into nanoseconds.
  auto grace =
      std::chrono::nanoseconds(std::min<std::chrono::milliseconds>(options.unclaimed_grace, longest_grace));
  grace_ns_ = static_cast<std::uint64_t>(grace.count());
  between_rounds_ns_ = std::clamp(grace_ns_ / 4, shortest_between_rounds_ns, longest_between_rounds_ns);
}

int orphans::open(uv_loop_t& loop) noexcept try {
  int records = options_.on_unclaimed ? std::min(options_.budget, most_stored) : 0;
  while (static_cast<int>(store_.size()) < records) {
    store_.push_back(std::make_unique<child>(watch_options{.ref = false}, callback{}));
  }
  if (int error = claims_.claim_any(thread_.is_main()); error != 0) return error;
  loop_ = &loop;
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

void orphans::close(bool in_copy) noexcept {
  if (std::exchange(loop_, nullptr) != nullptr && !in_copy) claims_.drop_any();
}

void orphans::wake(notice who) noexcept {
  if (!round_wanted_ && !has_work()) noticed_by_ = who;
  round_wanted_ = true;
  if (who == notice::poller) asks_excluded_ = !excluded_.empty();
}

// ---- when

std::uint64_t orphans::next_round_ns() const noexcept {
  return last_round_ns_ + (children_ > many_children ? longest_between_rounds_ns : between_rounds_ns_);
}

bool orphans::may_begin_round() const noexcept {
  return round_wanted_ && !in_round_ && sys::monotonic_ns() >= next_round_ns();
}

bool orphans::may_take() const noexcept { return !options_.on_unclaimed || !store_.empty(); }

bool orphans::is_oldest_expired() const noexcept {
  if (by_age_.empty() || !may_take()) return false;
  const sight& oldest = by_age_.front();
  bool is_walk_due = oldest.first_seen_ns > last_walk_ns_;
  return sys::monotonic_ns() >= oldest.first_seen_ns + grace_ns_ && !(in_round_ && is_walk_due);
}

bool orphans::has_work() const noexcept {
  return in_round_ || asks_excluded_ || may_begin_round() || is_oldest_expired();
}

std::uint64_t orphans::next_ms() const noexcept {
  std::uint64_t next_ns = round_wanted_ ? next_round_ns() : alarm::never;
  if (!by_age_.empty()) next_ns = std::min(next_ns, by_age_.front().first_seen_ns + grace_ns_);
  return next_ns == alarm::never ? next_ns : next_ns / 1'000'000 + 1;
}

// ---- what is seen

int orphans::work() noexcept try {
  if (is_oldest_expired()) return take_oldest();
  if (in_round_) return go_on_with_round();
  if (may_begin_round()) return begin_round(), 1;
  if (asks_excluded_) forget_one_that_is_gone();
  return 1;
} catch (const std::bad_alloc&) {
  // No memory for a list: what is unclaimed stays a zombie until the next notice or tick.
  in_round_ = false;
  list_.close();
  return page_units;
}

pid_t orphans::zombie_among(idtype_t which, id_t id) const noexcept {
  siginfo_t info{};
  int options = WEXITED | WNOHANG | WNOWAIT | this_thread_only_;
  if (sys::waitid(which, id, &info, options) != 0) return -1;
  return info.si_code <= last_end ? info.si_pid : 0;
}

void orphans::begin_round() {
  this_thread_only_ = thread_.is_main() ? __WNOTHREAD : 0;
  round_wanted_ = false;
  last_round_ns_ = sys::monotonic_ns();
  ++round_;
  in_round_ = list_.open(this_thread_only_ != 0);
  page_.clear();
  page_next_ = 0;
  children_ = living_.size();
  if (in_round_) return;
  // Without the list: the first zombie, and the next when that one is gone.
  if (pid_t first = zombie_among(P_ALL, 0); first > 0) {
    if (is_claimed(first)) {
      round_wanted_ = true;  // it will be collected, and no notice comes then of those behind it
    } else if (!is_excluded(first)) {
      see(first);
    }
  }
  end_round();
}

int orphans::go_on_with_round() {
  if (page_next_ == page_.size()) {
    page_next_ = 0;
    if (!list_.next_page(page_)) end_round();
    return page_units;
  }
  while (page_next_ < page_.size() && is_claimed(page_[page_next_])) ++page_next_;
  if (page_next_ == page_.size()) return 1;
  pid_t pid = page_[page_next_++];
  pid_t zombie = zombie_among(P_PID, static_cast<id_t>(pid));
  if (zombie >= 0) ++children_;
  if (zombie == pid && !is_excluded(pid)) see(pid);
  return 1;
}

void orphans::end_round() noexcept {
  in_round_ = false;
  list_.close();
  // Taken by their owners, or passed over by a list that shrank while it was read: then the next round finds
  // them.
  auto is_gone = [this](const auto& one) { return one.second.round != round_; };
  if (std::erase_if(sights_, is_gone) != 0) round_wanted_ = true;
}

void orphans::see(pid_t pid) {
  sight& one = sights_[pid];
  one.round = round_;
  if (one.first_seen_ns != 0) return;
  one.id = identity(pid);
  (void)one.id.open();
  one.id = one.id.without_pidfd();
  one.first_seen_ns = sys::monotonic_ns();
  one.noticed_by = noticed_by_;
  by_age_.push_back(one);
}

// ---- what is taken

int orphans::take_oldest() noexcept {
  sight& oldest = by_age_.front();
  if (oldest.first_seen_ns > last_walk_ns_) return walk(), options_.budget;
  if (oldest.is_of_uv_process) {  // libuv's for now; after another grace the next walk says
    oldest.is_of_uv_process = false;
    oldest.first_seen_ns = sys::monotonic_ns();
    by_age_.push_back(*by_age_.pop_front());
    return 1;
  }
  pid_t pid = oldest.id.pid;
  if (!is_claimed(pid) && !is_excluded(pid)) take(oldest);
  sights_.erase(pid);
  return 1;
}

void orphans::walk() noexcept {
  last_walk_ns_ = sys::monotonic_ns();
  // The visitor takes no memory and throws nothing: libuv has moved its queue aside meanwhile, and would lose
  // it.
  uv_walk(
      loop_,
      [](uv_handle_t* handle, void* data) {
        // An ended one keeps its old number, which may be another child's by now.
        if (handle->type != UV_PROCESS || uv_is_active(handle) == 0) return;
        auto& sights = *static_cast<std::map<pid_t, sight>*>(data);
        auto found = sights.find(uv_process_get_pid(reinterpret_cast<uv_process_t*>(handle)));
        if (found != sights.end()) found->second.is_of_uv_process = true;
      },
      &sights_);
}

void orphans::take(sight& one) noexcept {
  // Claimed meanwhile, so that no reaper of another thread is given a child that is being taken.
  pid_t pid = one.id.pid;
  auto claim = claims::word_of(mark_, one.id.born().tag());
  if (!claims_.claim(pid, claim)) return;
  int word = 0;
  ::rusage usage{};
  bool is_taken = one.id.look() == child_state::ended && claims_.begin_collecting(pid, claim) &&
                  sys::wait4(pid, &word, WNOHANG | this_thread_only_, &usage) == pid &&
                  wait_status(word).ended();
  claims_.end_collecting(pid, claim, is_taken);
  if (!is_taken) return claims_.drop(pid, claim);
  round_wanted_ = true;  // a zombie may have come while the list was read
  reaped(pid, wait_status(word), usage, one.noticed_by);
}

void orphans::none_has_ended() noexcept {
  round_wanted_ = false;
  sights_.clear();
}

void orphans::reaped(pid_t pid, wait_status status, const ::rusage& usage, notice noticed_by) noexcept {
  ++stats_.reaped;
  ++stats_.unclaimed;
  if (!options_.on_unclaimed) return;
  std::unique_ptr<child> record = std::move(store_.back());
  store_.pop_back();
  record->id = identity(pid);
  record->status = status;
  record->usage = resource_usage::from(usage);
  record->noticed_by = noticed_by;
  record->unclaimed = true;
  ready_.push_back(collected_.add(std::move(record)));
}

void orphans::recycle(std::unique_ptr<child> record) noexcept { store_.push_back(std::move(record)); }

// ---- whose it is

int orphans::exclude(pid_t pid) noexcept try {
  identity one(pid);
  (void)one.open();
  if (one.look() == child_state::none) return UV_ESRCH;
  excluded_.insert_or_assign(pid, one.without_pidfd());
  sights_.erase(pid);
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

void orphans::claimed(pid_t pid) noexcept {
  excluded_.erase(pid);
  sights_.erase(pid);
}

void orphans::forget_one_that_is_gone() noexcept {
  auto next = excluded_.upper_bound(last_asked_);
  asks_excluded_ = next != excluded_.end();
  last_asked_ = asks_excluded_ ? next->first : 0;
  if (asks_excluded_) (void)is_excluded(last_asked_);
}

bool orphans::is_excluded(pid_t pid) noexcept {
  auto found = excluded_.find(pid);
  if (found == excluded_.end()) return false;
  if (found->second.look() != child_state::none) return true;
  excluded_.erase(found);  // it was waited for, and this is a younger one
  return false;
}

bool orphans::is_claimed(pid_t pid) const noexcept {
  return living_.find(pid) != nullptr || claims_.is_claimed(pid);
}

}  // namespace uvreap
