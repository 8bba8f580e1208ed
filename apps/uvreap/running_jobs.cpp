#include "running_jobs.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "../shared/descendants.hpp"
#include "../shared/group_kill.hpp"

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t most_shown = 4;

nanoseconds now() { return nanoseconds(uv_hrtime()); }

// By another than us: see proc(5), the third field, behind a name that may hold anything.
bool is_stopped(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::size_t name_end = text.rfind(") ");
  return name_end != std::string::npos && text[name_end + 2] == 'T';
}

std::vector<descendant> descendants_in_our_group(const std::vector<pid_t>& not_below) {
  auto found = descendants(not_below);
  std::erase_if(found, [](const descendant& one) { return ::getpgid(one.pid) != ::getpgrp(); });
  return found;
}

void send_all(const std::vector<descendant>& to, int signum) {
  for (const descendant& one : to) send_to(one, signum);
}

}  // namespace

running_jobs::running_jobs(uv_loop_t& loop, uvreap::reaper& reaper, plan plan)
    : loop_(loop), reaper_(reaper), plan_(std::move(plan)) {
  uv_timer_init(&loop_, &timer_);
  timer_.data = this;
  if (!plan_.ends_all) return;
  for (const descendant& one : descendants()) {
    if (one.parent == ::getpid()) before_us_.push_back(one.pid);
  }
}

void running_jobs::close() { uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr); }

running_jobs::place running_jobs::add(attempt one) {
  all_.push_back(std::move(one));
  return std::prev(all_.end());
}

attempt running_jobs::remove(place place) {
  attempt was = std::move(*place);
  all_.erase(place);
  return was;
}

std::vector<running_job> running_jobs::eldest() const {
  std::vector<running_job> found;
  for (const attempt& one : all_) {
    if (one.has_ended) continue;
    found.push_back({one.what.name, now() - one.began, is_stopped(one.pid)});
    if (found.size() == most_shown) break;
  }
  return found;
}

// ---- timeouts

nanoseconds running_jobs::clock() const { return now() - rested_; }

void running_jobs::end_after(place place, std::chrono::milliseconds timeout) {
  place->timeout = timeouts_.emplace(clock() + timeout, &*place);
  if (*place->timeout == timeouts_.begin()) watch_timeouts();
}

void running_jobs::ended(place place, const uvreap::wait_status& status) {
  place->has_ended = true;
  bool is_killed = status.signaled() && status.term_signal() == SIGKILL;
  if (place->has_timed_out && is_killed && plan_.ends_all)
    send_all(descendants_in_our_group(before_us_), SIGKILL);
  forget_timeout(*place);
}

void running_jobs::forget_timeout(attempt& one) {
  if (one.timeout) timeouts_.erase(*std::exchange(one.timeout, std::nullopt));
}

void running_jobs::watch_timeouts() {
  if (timeouts_.empty()) return;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(timeouts_.begin()->first - clock());
  uv_update_time(&loop_);
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<running_jobs*>(timer->data)->on_timeout(); },
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, left.count())), 0);
}

void running_jobs::on_timeout() {
  while (!timeouts_.empty() && timeouts_.begin()->first <= clock()) {
    attempt& one = *timeouts_.begin()->second;
    forget_timeout(one);
    one.has_timed_out = true;
    plan_.ends_all ? end_with_descendants(one) : end(one);
  }
  watch_timeouts();
}

// ---- signals

void running_jobs::end(attempt& one) {
  int error = reaper_.terminate(one.pid, plan_.grace);
  if (error != 0 && error != UV_ESRCH && error != UV_EALREADY) plan_.not_ended(one, error);
}

// A single command leads no group: what it has begun in ours is looked for, as timeout(1) ends its own group.
// Before the command gets its signal: what it began is handed on to us when it ends, and would be missed.
void running_jobs::end_with_descendants(attempt& one) {
  auto begun = descendants_in_our_group(before_us_);
  std::erase_if(begun, [&one](const descendant& found) { return found.pid == one.pid; });
  end(one);
  send_all(begun, SIGTERM);
  send_all(begun, SIGCONT);  // a stopped process does not see SIGTERM
}

void running_jobs::end_all() {
  for (attempt& one : all_) {
    if (one.has_ended) continue;
    one.is_cut_off = true;
    end(one);
  }
}

void running_jobs::kill_all(int signum) {
  for (attempt& one : all_) {
    if (one.has_ended) continue;
    // What has ended meanwhile need not be killed.
    (void)(plan_.is_one_command ? reaper_.kill(one.pid, signum) : kill_group(reaper_, one.pid, signum));
  }
}

void running_jobs::stop_with(const std::function<void()>& stop_ourselves) {
  nanoseconds stopped = now();
  // A job could take SIGTSTP for something else. A single command has it from the terminal, as we have; and
  // where it was sent to us alone, from us.
  bool has_it = plan_.is_one_command && !all_.empty() && is_stopped(all_.front().pid);
  if (!has_it) kill_all(plan_.is_one_command ? SIGTSTP : SIGSTOP);
  stop_ourselves();
  if (!has_it) kill_all(SIGCONT);
  rested_ += now() - stopped;
  watch_timeouts();
}
