#include "job_runner.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <uvreap/process.hpp>

#include "../shared/last_resort.hpp"
#include "../shared/printed.hpp"
#include "../shared/visible_text.hpp"
#include "measures.hpp"

namespace {

using std::chrono::nanoseconds;

constexpr int most_begun_a_turn = 8;  // a spawn takes a tenth of a millisecond, and the loop has other work
constexpr std::size_t most_unsaid = 256;  // jobs that have ended, and wait to be said
constexpr std::uint64_t live_ms = 100;
constexpr std::uint64_t first_silence_ms = 10'000;
constexpr std::uint64_t longest_silence_ms = 300'000;
constexpr std::uint64_t soon_ms = 1;  // 0 would be within this turn, with libuv before 1.48
constexpr std::uint64_t retry_ms = 20;
constexpr nanoseconds longest_lack = std::chrono::seconds(2);  // of room, with no job running

nanoseconds now() { return nanoseconds(uv_hrtime()); }

// No room at the moment: some job's end makes it.
bool passes(int error) {
  return error == UV_EMFILE || error == UV_ENFILE || error == UV_EAGAIN || error == UV_ENOMEM;
}

uvreap::options reaper_options(const run_settings& settings) {
  uvreap::options options{.backend = settings.backend, .sigchld = uvreap::sigchld_use::when_needed};
  // What jobs leave behind is ours as PID 1, and that of a single command if all of it is to end at a time.
  // Nobody else reaps it.
  bool is_subreaper = settings.ends_all() && uvreap::become_subreaper() == 0;
  if (::getpid() == 1 || is_subreaper) options.children = uvreap::scope::any();
  return options;
}

}  // namespace

job_runner::job_runner(uv_loop_t& loop, const run_settings& settings, console& console, run_report& report)
    : loop_(loop),
      settings_(settings),
      console_(console),
      report_(report),
      reaper_(loop, reaper_options(settings)),
      signals_(loop, {.ending = [this](int signum) { on_signal(signum); },
                      .stopping = [this] { stop_with_jobs(); },
                      .resized =
                          [this] {
                            if (console_.has_live_line()) show_progress();
                          }}),
      running_(loop, reaper_,
               {.grace = settings.grace,
                .is_one_command = settings.is_one_command(),
                .ends_all = settings.ends_all(),
                .not_ended =
                    [this](const attempt& one, int error) {
                      report_.noted(one.what, std::string("cannot be ended: ") + uv_strerror(error));
                    }}),
      outputs_(loop, console, settings),
      throttle_(settings) {
  for (uv_timer_t* timer : {&again_, &progress_}) {
    uv_timer_init(&loop_, timer);
    timer->data = this;
  }
  console_.on_drained([this] { go_on(); });
}

void job_runner::start() {
  began_ = now();
  if (int error = reaper_.start(); error != 0)
    return fail(std::string("cannot start: ") + uv_strerror(error));
  if (int error = signals_.start(); error != 0)
    return fail(std::string("cannot listen to signals: ") + uv_strerror(error));
  if (!settings_.job_log.empty()) {
    if (std::string wrong = log_.open(settings_); !wrong.empty()) return fail(wrong);
  }
  if (!is_one_command()) last_resort::start(static_cast<std::size_t>(settings_.at_once));
  if (int error = is_one_command() ? 0 : outputs_.open(); error != 0)
    return fail("cannot make " + visible_text(settings_.directory) + ": " + uv_strerror(error));
  auto hinted = [this](const std::string& what) {
    if (!settings_.quiet) console_.say("uvreap run: " + what + '\n');
  };
  try {
    jobs_.start(loop_, settings_, {.more = [this] { fill(); }, .hinted = hinted});
  } catch (const list_error& error) {
    return fail(error.what());
  }
  if (!is_one_command()) show_progress_later(console_.has_live_line() ? live_ms : first_silence_ms);
  fill();
}

// ---- begin

void job_runner::go_on() {
  outputs_.go_on();
  write_log();
  fill();
}

void job_runner::fill() {
  if (finished_) return;
  uv_timer_stop(&again_);
  auto at_once = static_cast<std::size_t>(settings_.at_once);
  for (int begun = 0; active_ < at_once && running_.size() < at_once + most_unsaid && !console_.is_behind();
       ++begun) {
    if (begun == most_begun_a_turn) {
      fill_later(soon_ms);
      break;
    }
    if (!may_begin()) break;
    auto one = next();
    if (!one || !begin(std::move(*one))) break;
  }
  finish_if_done();
}

void job_runner::fill_later(std::uint64_t in_ms) {
  uv_timer_start(
      &again_, [](uv_timer_t* timer) { static_cast<job_runner*>(timer->data)->fill(); }, in_ms, 0);
}

bool job_runner::may_begin() {
  if (stopping_ || (waiting_.empty() && !jobs_.has_next())) return true;  // next() says what is the matter
  auto wait = throttle_.wait(now());
  if (wait) fill_later(static_cast<std::uint64_t>(wait->count()));
  return !wait;
}

std::optional<attempt> job_runner::next() {
  if (!stopping_ && !waiting_.empty()) {
    attempt first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  }
  while (!stopping_) {
    auto one = jobs_.next();
    if (!one) break;
    if (one->error.empty() && is_done_before(one->what)) continue;
    if (one->error.empty()) return attempt{.what = std::move(one->what)};
    report_.complained(one->error);
    outcome_.add_list_error();
    stop_if_due();
  }
  return {};
}

bool job_runner::is_done_before(const job& job) {
  auto found = log_.look_up(job);
  if (found == job_log::entry::another)
    report_.noted(job, "the job log has another command for this number; this one is run");
  if (found != job_log::entry::done) return false;
  ++outcome_.counts.skipped;
  return true;
}

bool job_runner::begin(attempt wanted) {
  auto place = running_.add(std::move(wanted));
  ++active_;
  job_command child(place->what);
  complete(child.what, place->what.input.has_value());
  last_resort::starting();
  int error = spawn(place, child);
  if (error == 0 && !is_one_command()) last_resort::add(place->pid);
  last_resort::started();
  if (error == 0) {
    lack_began_.reset();
    throttle_.begun(place->began);
    if (place->output) place->output->begun();
    report_.started(place->what, place->number, place->pid);
    return true;
  }
  --active_;
  bool is_wrapped = !settings_.wrap.empty();
  std::string why =
      is_wrapped ? visible_text(settings_.wrap.front()) + ": " + uv_strerror(error) : child.why(error);
  attempt failed = running_.remove(place);
  failed.output.reset();
  if (passes(error)) {
    std::string lack = "cannot run " + failed.what.name + ": " + why;
    outputs_.expect(failed.what, failed.number);
    waiting_.push_front(std::move(failed));
    if (active_ == 0) wait_for_room(lack);
    return false;
  }
  outputs_.dismiss(failed.what, failed.number);
  job_end end{.attempt = failed.number, .error = error, .reason = why, .began = failed.time_of_begin};
  settle(end);
  report_.ended(failed.what, end);
  log_.add(failed.what, end);
  write_log();
  return true;
}

// UV_E*.
//
// Not by spawn_async(): 500 jobs of /bin/true took 0.19 s either way, with -j2 and with -j8, and the same CPU
// time; the loop has nobody who waits for it meanwhile, and a signal would have to wait for what is being
// started.
int job_runner::spawn(place place, job_command& child) {
  const job& job = place->what;
  if (!is_one_command()) {
    place->output = outputs_.make(
        job, place->number,
        {.wrote = [this, place](stream to, std::string_view text) { report_.wrote(place->what, to, text); },
         .noted = [this, place](const std::string& what) { report_.noted(place->what, what); }});
    if (int error = place->output->prepare(child.what); error != 0) return error;
  }
  place->began = now();
  place->time_of_begin = std::chrono::system_clock::now();
  int error = child.spawn(reaper_, &place->pid, {},
                          [this, place](const uvreap::child_exit& exit) { on_exit(place, exit); });
  auto timeout = job.timeout.value_or(settings_.timeout);
  if (error == 0 && timeout.count() != 0) running_.end_after(place, timeout);
  return error;
}

void job_runner::complete(uvreap::command& command, bool has_input) const {
  command.argv.insert(command.argv.begin(), settings_.wrap.begin(), settings_.wrap.end());
  command.signals = uvreap::child_signals::inherited;  // nohup holds for what it runs
  command.keep_descriptors = true;                     // <(command), flock's, make's; ours are close-on-exec
  if (is_one_command()) return;                        // it has our descriptors, and our terminal's group
  if (!has_input) command.input = uvreap::stdio::null();
  // Without a terminal, too: in a background group a job that asks there would be stopped, and wait for ever.
  command.group = uvreap::process_group::session;
}

// None of our jobs will make room by its end. Others may, or a job that ended just now and is not all let go
// of.
void job_runner::wait_for_room(const std::string& lack) {
  if (!lack_began_) lack_began_ = now();
  if (now() - *lack_began_ > longest_lack) return fail(lack);
  fill_later(retry_ms);
}

// ---- end

void job_runner::on_exit(place place, const uvreap::child_exit& exit) {
  if (!is_one_command()) last_resort::remove(place->pid);
  running_.ended(place, exit.status);
  place->end = {.attempt = place->number,
                .pid = exit.pid,
                .exit = exit,
                .began = place->time_of_begin,
                .wall = now() - place->began,
                .cut_off = place->is_cut_off};
  place->end.exit.timed_out = place->has_timed_out;
  auto complete = [this, place] { on_complete(place); };
  auto said = [this, place] { on_said(place); };
  if (place->output) return place->output->finish(complete, said);
  complete();
  said();
}

void job_runner::on_complete(place place) {
  --active_;
  job_end& end = place->end;
  if (place->output) {
    end.output_error = place->output->error();
    end.bytes_out = place->output->bytes_out();
  }
  end.tried_again =
      end.failed() && !stopping_ && end.attempt <= place->what.retries.value_or(settings_.retries);
  if (end.tried_again) {
    ++outcome_.counts.retries;
    outputs_.expect(place->what, end.attempt + 1);
    waiting_.push_back({.what = place->what, .number = end.attempt + 1});
  } else {
    settle(end);
  }
  fill_later(soon_ms);  // it is said first, if it can be
}

void job_runner::on_said(place place) {
  job_end& end = place->end;
  int error = place->output ? place->output->error() : 0;
  if (error != 0) outcome_.is_lost(end);  // while it was said
  end.output_error = error;
  report_.ended(place->what, end);
  if (!end.tried_again) log_.add(place->what, end);
  write_log();
  (void)running_.remove(place);
  fill();
}

void job_runner::settle(const job_end& end) {
  is_one_command() ? outcome_.add_one(end) : outcome_.add(end);
  stop_if_due();
}

// When all that was said is written: of a job whose output is lost --resume must not say that it was done.
void job_runner::write_log() {
  if (console_.is_busy() || console_.has_failed()) return;
  if (std::string wrong = log_.write_out(); !wrong.empty()) fail(wrong);
}

void job_runner::stop_if_due() {
  std::optional<std::uint64_t> jobs;
  if (jobs_.is_read()) jobs = jobs_.jobs();
  if (stopping_ || !settings_.halt.is_met(outcome_.counts.failed + outcome_.counts.list_errors,
                                          outcome_.counts.done, jobs))
    return;
  stopping_ = true;
  outcome_.is_halted_by_success = settings_.halt.of == halt_rule::count::succeeded;
  if (settings_.halt.ends_running) running_.end_all();
}

void job_runner::finish_if_done() {
  if (finished_) return;
  if (stopping_) {
    jobs_.skip();
    while (!waiting_.empty()) {
      attempt never = std::move(waiting_.front());
      waiting_.pop_front();
      ++(never.number > 1 ? outcome_.counts.failed
                          : outcome_.counts.not_run);  // what had failed is not tried again
      outputs_.dismiss(never.what, never.number);
    }
  }
  bool all_begun = waiting_.empty() && jobs_.is_over();
  if (!all_begun || !running_.empty()) return;
  finished_ = true;
  jobs_.close();
  outcome_.counts.not_run += jobs_.skipped();
  outcome_.counts.knows_not_run = jobs_.is_read();
  bool nothing_began = outcome_.has_own_error && outcome_.is_empty();
  if (!nothing_began) report_.finished(totals());
  (void)reaper_.close();
  signals_.close();
  running_.close();
  for (uv_timer_t* timer : {&again_, &progress_}) uv_close(reinterpret_cast<uv_handle_t*>(timer), nullptr);
  if (console_.has_given_up() && console_.is_busy()) uv_stop(&loop_);
}

void job_runner::fail(const std::string& what) {
  if (!outcome_.has_own_error || !stopping_) report_.complained(what);
  outcome_.has_own_error = stopping_ = true;
  running_.end_all();
  outputs_.go_on();  // what could not be written is dropped, and nobody will say that it was
  finish_if_done();
}

// ---- signals

void job_runner::on_signal(int signum) {
  if (is_one_command()) return hand_on(signum);
  bool again = std::exchange(outcome_.interrupted_by, signum) != 0;
  stopping_ = true;
  jobs_.close();
  if (!again) report_.interrupted(signal_name(signum), static_cast<int>(active_));
  again ? running_.kill_all(SIGKILL) : running_.end_all();
  if (again && console_.is_busy()) leave_unread();
  finish_if_done();
}

// Who does not read would hold us for ever.
void job_runner::leave_unread() {
  console_.give_up();
  outputs_.go_on();
}

// A single command is in our process group: what the terminal sends us it has already, and makes of it what
// it likes.
void job_runner::hand_on(int signum) {
  stopping_ = true;  // it is not tried again
  bool again = std::exchange(outcome_.interrupted_by, signum) == signum;
  if (signum == SIGTERM) return again ? running_.kill_all(SIGKILL) : running_.end_all();
  bool has_it = (signum == SIGINT || signum == SIGQUIT) && is_in_foreground();
  if (!has_it) running_.kill_all(signum);
}

void job_runner::stop_with_jobs() {
  console_.live({});
  running_.stop_with([this] { signals_.stop_ourselves(); });
}

// ---- what is said

run_totals job_runner::totals() const {
  run_totals all = outcome_.counts;
  all.running = static_cast<int>(active_);
  all.wall = now() - began_;
  all.reaper = reaper_.stats();
  all.expected = jobs_.expected();
  all.knows_expected = jobs_.is_read();
  double ended = static_cast<double>(outcome_.counts.done + outcome_.counts.failed);
  double passed = static_cast<double>(outcome_.counts.skipped + outcome_.counts.list_errors);
  if (all.expected && ended > 0) {
    double left = static_cast<double>(*all.expected) - passed - ended;
    all.seconds_left = std::chrono::duration<double>(all.wall).count() * std::max(0.0, left) / ended;
  }
  return all;
}

void job_runner::show_progress() {
  if (finished_ || is_one_command()) return;
  run_totals now = totals();
  now.eldest = running_.eldest();
  now.waits_for = throttle_.reason();
  report_.working(now);
}

// On a terminal all the time; in a log now and then, and ever more seldom.
void job_runner::show_progress_later(std::uint64_t in_ms) {
  progress_every_ms_ = in_ms;
  auto tick = [](uv_timer_t* timer) {
    auto* self = static_cast<job_runner*>(timer->data);
    self->show_progress();
    bool is_live = self->console_.has_live_line();
    self->show_progress_later(is_live ? live_ms : std::min(2 * self->progress_every_ms_, longest_silence_ms));
  };
  uv_timer_start(&progress_, tick, in_ms, 0);
}

int job_runner::exit_status() const {
  return console_.has_lost_output() ? our_error : outcome_.exit_status();
}
