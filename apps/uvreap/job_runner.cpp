#include "job_runner.hpp"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "../shared/group_kill.hpp"
#include "../shared/printed.hpp"
#include "measures.hpp"

namespace {

using std::chrono::nanoseconds;

constexpr int most_begun_a_turn = 8;  // a spawn takes a tenth of a millisecond, and the loop has other work
constexpr std::uint64_t progress_ms = 100;
constexpr nanoseconds longest_lack =
    std::chrono::seconds(2);  // of descriptors or processes, with no job running
constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

nanoseconds now() { return nanoseconds(uv_hrtime()); }

// No room at the moment: some job's end makes it.
bool passes(int error) {
  return error == UV_EMFILE || error == UV_ENFILE || error == UV_EAGAIN || error == UV_ENOMEM;
}

// What a shell would say of it; timeout(1) has 124, env(1) and sh have the other two.
int status_as_shell(const job_end& end) {
  if (end.error != 0) return end.error == UV_ENOENT ? 127 : 126;
  if (end.exit.timed_out) return 124;
  return end.exit.status.signaled() ? 128 + end.exit.status.term_signal()
                                    : std::max(0, end.exit.status.exit_code());
}

}  // namespace

job_runner::job_runner(uv_loop_t& loop, const run_settings& settings, console& console, run_report& report)
    : loop_(loop),
      settings_(settings),
      console_(console),
      report_(report),
      reaper_(loop, {.backend = settings.backend}),
      outputs_(loop, console, settings) {
  uv_timer_init(&loop_, &again_);
  uv_timer_init(&loop_, &progress_);
  again_.data = progress_.data = this;
  for (uv_signal_t& one : interrupts_) {
    uv_signal_init(&loop_, &one);
    one.data = this;
  }
  console_.on_drained([this] { go_on(); });
}

void job_runner::start() {
  began_ = now();
  if (int error = reaper_.start(); error != 0)
    return fail(std::string("cannot start: ") + uv_strerror(error));
  for (std::size_t i = 0; i < std::size(interrupts_); ++i) {
    auto heard = [](uv_signal_t* handle, int signum) {
      static_cast<job_runner*>(handle->data)->end_all(signum);
    };
    if (int error = uv_signal_start(&interrupts_[i], heard, ending_signals[i]); error != 0)
      return fail(std::string("cannot listen to signals: ") + uv_strerror(error));
  }
  if (int error = settings_.is_one_command() ? 0 : outputs_.open(); error != 0)
    return fail("cannot make " + settings_.directory + ": " + uv_strerror(error));
  auto hinted = [this](const std::string& what) {
    if (!settings_.quiet) console_.err("uvreap run: " + what + '\n');
  };
  try {
    list_ = make_job_list(loop_, settings_, {.more = [this] { fill(); }, .hinted = hinted});
  } catch (const list_error& error) {
    return fail(error.what());
  }
  if (console_.has_live_line()) {
    auto tick = [](uv_timer_t* timer) { static_cast<job_runner*>(timer->data)->show_progress(); };
    uv_timer_start(&progress_, tick, progress_ms, progress_ms);
  }
  fill();
}

// ---- begin

void job_runner::go_on() {
  outputs_.go_on();
  fill();
}

void job_runner::fill() {
  if (finished_) return;
  for (int begun = 0; running_.size() < static_cast<std::size_t>(settings_.at_once) && !console_.is_behind();
       ++begun) {
    if (begun == most_begun_a_turn) {
      uv_timer_start(
          &again_, [](uv_timer_t* timer) { static_cast<job_runner*>(timer->data)->fill(); }, 0, 0);
      break;
    }
    auto one = next();
    if (!one || !begin(std::move(*one))) break;
  }
  finish_if_done();
}

std::optional<job_runner::attempt> job_runner::next() {
  if (stopping_) return {};
  if (waiting_.empty()) return next_of_list();
  attempt first = std::move(waiting_.front());
  waiting_.pop_front();
  return first;
}

std::optional<job_runner::attempt> job_runner::next_of_list() {
  while (!stopping_ && !list_->is_over()) try {
      auto job = list_->next();
      if (!job) return {};
      return attempt{.what = std::move(*job)};
    } catch (const list_error& error) {
      report_.complained(error.what());
      own_error_ = true;
      ++counts_.list_errors;
      count_failure();
    }
  return {};
}

void job_runner::complete(uvreap::command& command, bool has_input) const {
  if (settings_.is_one_command()) return;  // it has our descriptors, and our terminal's group
  if (!has_input) command.input = uvreap::stdio::null();
  command.group = uvreap::process_group::created;
}

bool job_runner::begin(attempt wanted) {
  running_.push_back(std::move(wanted));
  auto place = std::prev(running_.end());
  const job& job = place->what;
  job_command child(job);
  complete(child.what, job.input.has_value());
  int error = 0;
  if (!settings_.is_one_command()) {
    place->output = outputs_.make(
        job.number,
        {.wrote = [this, place](stream to, std::string_view text) { report_.wrote(place->what, to, text); },
         .noted = [this, place](const std::string& what) { report_.noted(place->what, what); }});
    error = place->output->prepare(child.what);
  }
  place->began = now();
  if (error == 0) {
    uvreap::watch_options options{.timeout = job.timeout.value_or(settings_.timeout),
                                  .grace = settings_.grace};
    error = child.spawn(reaper_, &place->pid, options,
                        [this, place](const uvreap::child_exit& exit) { on_exit(place, exit); });
  }
  if (error == 0) {
    lack_began_.reset();
    if (place->output) place->output->begun();
    report_.started(job, place->number, place->pid);
    return true;
  }
  std::string why = child.why(error);
  attempt failed = std::move(*place);
  running_.erase(place);
  failed.output.reset();
  if (passes(error)) {
    std::string name = failed.what.name;
    waiting_.push_front(std::move(failed));
    if (running_.empty()) wait_for_room("cannot run " + name + ": " + why);
    return false;
  }
  settle(failed.what, {.attempt = failed.number, .error = error, .reason = why});
  return true;
}

// None of our jobs will make room by its end. Others may, or a job that ended just now and is not all let go
// of.
void job_runner::wait_for_room(const std::string& lack) {
  if (!lack_began_) lack_began_ = now();
  if (now() - *lack_began_ > longest_lack) return fail(lack);
  constexpr std::uint64_t retry_ms = 20;
  uv_timer_start(
      &again_, [](uv_timer_t* timer) { static_cast<job_runner*>(timer->data)->fill(); }, retry_ms, 0);
}

// ---- end

void job_runner::on_exit(place place, const uvreap::child_exit& exit) {
  place->has_ended = true;
  job_end end{.attempt = place->number, .pid = exit.pid, .exit = exit, .wall = now() - place->began};
  auto said = [this, place, end]() mutable {
    attempt done = std::move(*place);
    running_.erase(place);
    done.output.reset();  // its descriptors are the next job's
    int retries = done.what.retries.value_or(settings_.retries);
    end.tried_again = end.failed() && !stopping_ && done.number <= retries;
    settle(done.what, end);
    if (end.tried_again) {
      ++counts_.retries;
      waiting_.push_back({.what = std::move(done.what), .number = done.number + 1});
    }
    fill();
  };
  place->output ? place->output->finish(std::move(said)) : said();
}

void job_runner::settle(const job& job, const job_end& end) {
  report_.ended(job, end);
  if (end.tried_again) return;
  if (settings_.is_one_command()) status_of_one_ = status_as_shell(end);
  if (!end.failed()) {
    ++counts_.done;
    return;
  }
  ++counts_.failed;
  count_failure();
}

void job_runner::count_failure() {
  auto failures = static_cast<int>(counts_.failed + counts_.list_errors);
  if (stopping_ || settings_.halt_after == 0 || failures < settings_.halt_after) return;
  stopping_ = true;
  if (settings_.halt_now) terminate_all();
}

void job_runner::terminate_all() {
  for (attempt& one : running_) {
    if (one.has_ended) continue;
    int error = reaper_.terminate(one.pid, settings_.grace);
    if (error != 0 && error != UV_ESRCH && error != UV_EALREADY)
      report_.noted(one.what, std::string("cannot be ended: ") + uv_strerror(error));
  }
}

void job_runner::kill_all() {
  for (attempt& one : running_) {
    if (one.has_ended) continue;
    // What has ended meanwhile need not be killed. A single command is in our group.
    (void)(settings_.is_one_command() ? reaper_.kill(one.pid, SIGKILL) : kill_group(reaper_, one.pid));
  }
}

void job_runner::end_all(int signum) {
  bool again = std::exchange(interrupted_by_, signum) != 0;
  stopping_ = true;
  if (!again) report_.interrupted(signal_name(signum).c_str(), static_cast<int>(running_.size()));
  terminate_all();
  if (again) kill_all();
  finish_if_done();
}

void job_runner::fail(const std::string& what) {
  if (!own_error_ || !stopping_) std::fprintf(stderr, "uvreap run: %s\n", what.c_str());
  own_error_ = stopping_ = true;
  terminate_all();
  outputs_.go_on();  // what could not be written is dropped, and nobody will say that it was
  finish_if_done();
}

void job_runner::finish_if_done() {
  bool all_begun = stopping_ || (list_->is_over() && waiting_.empty());
  if (!all_begun || !running_.empty() || finished_) return;
  finished_ = true;
  counts_.failed += waiting_.size();  // they had failed, and are not tried again
  if (list_) list_->close();
  bool nothing_began = own_error_ && counts_.done + counts_.failed + counts_.list_errors == 0;
  if (!nothing_began) report_.finished(totals());
  (void)reaper_.close();
  for (uv_signal_t& one : interrupts_) uv_close(reinterpret_cast<uv_handle_t*>(&one), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&again_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&progress_), nullptr);
}

// ---- what is said

run_totals job_runner::totals() const {
  run_totals all = counts_;
  all.running = static_cast<int>(running_.size());
  all.wall = now() - began_;
  all.reaper = reaper_.stats();
  if (!running_.empty())
    all.slowest = running_.front().what.name + " (" + text_of(now() - running_.front().began) + ")";
  auto ended = static_cast<double>(counts_.done + counts_.failed);
  double seconds = std::chrono::duration<double>(all.wall).count();
  double share = list_->share().value_or(0);
  // So much of the list was so many jobs.
  if (share > 0 && ended > 0)
    all.seconds_left = seconds * (static_cast<double>(list_->jobs()) / share - ended) / ended;
  return all;
}

void job_runner::show_progress() {
  if (!finished_) report_.working(totals());
}

int job_runner::exit_status() const {
  constexpr std::uint64_t more_than_can_be_told = 101;
  if (own_error_) return 255;
  if (interrupted_by_ != 0) return 128 + interrupted_by_;  // as a shell says it
  if (status_of_one_) return *status_of_one_;
  return static_cast<int>(std::min(counts_.failed, more_than_can_be_told));
}
