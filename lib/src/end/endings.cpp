#include "end/endings.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <new>
#include <utility>

#include "os/proof.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

// How often a group whose leader has ended is asked whether it is empty: nobody tells the end of a
// grandchild.
constexpr std::uint64_t between_questions_ms = 20;

constexpr int deadlines_a_turn = 64;  // each costs a handful of system calls

}  // namespace

// ---- one termination

int endings::termination::start() noexcept {
  pidfd.reset(sys::pidfd_open(pid));
  if (!is_ours(look_at(pid))) return UV_ESRCH;  // asked after the pidfd was opened: it names our child
  group = sys::getpgid(pid) == pid;
  int error = send(SIGTERM);
  if (group && !by_number && error == UV_EINVAL) {  // a kernel before 6.9 does not know the flag
    by_number = true;
    error = send(SIGTERM);
  }
  if (error == 0) (void)send(SIGCONT);
  return error;
}

int endings::termination::send(int signum) noexcept {
  int result = 0;
  if (group && pidfd && !by_number) {
    result = sys::pidfd_signal_group(pidfd.get(), signum);
  } else if (group) {
    by_number = true;
    result = sys::kill(-pid, signum);  // the leader lives, or its zombie is kept
  } else if (pidfd) {
    result = sys::pidfd_send_signal(pidfd.get(), signum);
  } else {
    return send_signal(pid, signum);
  }
  return result == 0 ? 0 : uv_translate_sys_error(errno);
}

bool endings::termination::is_over() noexcept {
  if (!leader_ended) return false;
  return !group || (!by_number && send(0) == UV_ESRCH);
}

void endings::termination::wait_on() noexcept {
  std::uint64_t now_ms = uv_now(all->loop_);
  std::uint64_t left_ms = kill_at_ms > now_ms ? kill_at_ms - now_ms : 0;
  if (leader_ended && !by_number) left_ms = std::min(left_ms, between_questions_ms);
  uv_timer_start(
      timer.get(),
      [](uv_timer_t* handle) {
        auto* one = static_cast<termination*>(handle->data);
        if (one != nullptr && !one->all->is_copy()) one->end();
      },
      left_ms, 0);
}

void endings::termination::end() noexcept {
  bool time_is_up = uv_now(all->loop_) >= kill_at_ms;
  if (time_is_up) (void)send(SIGKILL);
  if (time_is_up || is_over()) return all->drop(*this);
  wait_on();
}

// ---- all of them

endings::endings(registry& all, watch_table& table) noexcept
    : registry_(all), origin_(all.origin()), table_(table) {}

int endings::open(uv_loop_t& loop, const std::shared_ptr<void>& farewell) noexcept {
  loop_ = &loop;
  farewell_ = farewell;
  auto init = [&](uv_timer_t* handle) { return uv_timer_init(&loop, handle); };
  return next_deadline_.open(init, this, farewell);
}

void endings::close() noexcept {
  while (!under_way_.empty()) drop(under_way_.front());
  deadlines_.clear();
  next_deadline_.close();
  farewell_.reset();
}

void endings::leave_to_the_loop() noexcept {
  for (termination& one : under_way_) one.timer.leave_to_the_loop();
  by_leader_.clear();
  under_way_.clear();
  next_deadline_.leave_to_the_loop();
}

// From now, not from the loop's last poll; and one more, for the loop's clock counts whole milliseconds,
// rounded down (and is a coarse one where that has a resolution of one): without it a loop that is kept awake
// is there up to one early.
std::uint64_t endings::in(std::uint64_t ms) noexcept {
  std::uint64_t now_ms = uv_hrtime() / 1'000'000;
  return ms == 0 ? now_ms : now_ms + ms + 1;
}

int endings::begin(pid_t pid, std::chrono::milliseconds grace) noexcept try {
  auto [place, is_new] = by_leader_.try_emplace(pid, nullptr);
  if (!is_new) return UV_EALREADY;
  int error = UV_ENOMEM;
  try {
    termination& fresh = under_way_.emplace_back();
    fresh.all = this;
    fresh.self = std::prev(under_way_.end());
    fresh.pid = pid;
    fresh.kill_at_ms = in(static_cast<std::uint64_t>(grace.count()));
    auto init = [this](uv_timer_t* handle) { return uv_timer_init(loop_, handle); };
    error = fresh.timer.open(init, &fresh, farewell_);
    if (error == 0) error = fresh.start();
    if (error == 0) {
      place->second = &fresh;
      uv_ref(reinterpret_cast<uv_handle_t*>(fresh.timer.get()));
      fresh.wait_on();
      return 0;
    }
    under_way_.pop_back();
  } catch (const std::bad_alloc&) {
  }
  by_leader_.erase(place);
  return error;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

endings::termination* endings::find(pid_t pid) const noexcept {
  auto found = by_leader_.find(pid);
  return found == by_leader_.end() ? nullptr : found->second;
}

void endings::drop(termination& over) noexcept {
  if (!over.leader_ended) by_leader_.erase(over.pid);
  if (over.by_number && over.leader_ended) {
    int word = 0;
    ::rusage usage{};
    (void)sys::wait4(over.pid, &word, WNOHANG | __WALL, &usage);  // told long ago: the number is given back
    registry_.drop(over.pid);
  }
  under_way_.erase(over.self);
}

bool endings::keeps_zombie(pid_t pid) const noexcept {
  termination* its_end = find(pid);
  return its_end != nullptr && its_end->by_number;
}

void endings::collected(pid_t pid, const watch& its) noexcept {
  drop_deadline(pid, its);
  termination* its_end = find(pid);
  if (its_end == nullptr) return;
  by_leader_.erase(pid);
  its_end->leader_ended = true;
  if (its_end->is_over()) return drop(*its_end);
  its_end->wait_on();
}

void endings::released(pid_t pid, const watch& its) noexcept {
  drop_deadline(pid, its);
  if (termination* its_end = find(pid)) drop(*its_end);
}

void endings::forgotten(pid_t pid, const watch& its) noexcept { drop_deadline(pid, its); }

// ---- deadlines

bool endings::make_room() noexcept try {
  if (spare_) return true;
  std::set<deadline> maker{{0, 0}};
  spare_ = maker.extract(maker.begin());
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void endings::watched(pid_t pid, watch& its) noexcept {
  if (its.deadline_ms == 0) return;
  its.deadline_ms = in(its.deadline_ms);
  spare_.value() = {its.deadline_ms, pid};
  deadlines_.insert(std::move(spare_));
  await_deadline();
}

void endings::drop_deadline(pid_t pid, const watch& its) noexcept {
  if (its.deadline_ms != 0 && deadlines_.erase({its.deadline_ms, pid}) != 0) await_deadline();
}

void endings::await_deadline() noexcept {
  if (deadlines_.empty()) {
    uv_timer_stop(next_deadline_.get());
    return;
  }
  std::uint64_t now_ms = uv_now(loop_);
  std::uint64_t at_ms = deadlines_.begin()->first;
  uv_timer_start(
      next_deadline_.get(),
      [](uv_timer_t* handle) {
        auto* all = static_cast<endings*>(handle->data);
        if (all != nullptr && !all->is_copy()) all->on_deadline();
      },
      at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

void endings::on_deadline() noexcept {
  for (int most = deadlines_a_turn; most > 0 && !deadlines_.empty(); --most) {
    if (deadlines_.begin()->first > uv_now(loop_)) break;
    pid_t pid = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    watch* its = table_.find(pid);
    if (its == nullptr) continue;
    its->deadline_ms = 0;
    // It may have ended just now: then it was in time, however late that is told.
    if (look_at(pid) != child_state::living) continue;
    its->timed_out = begin(pid, std::chrono::milliseconds(its->grace_ms)) == 0;
  }
  await_deadline();
}

}  // namespace uvreap
