#include "jobs.hpp"

#include <algorithm>
#include <utility>

#include "../shared/program_file.hpp"

namespace {

// Whom a job leaves behind may hold its outputs for ever.
constexpr std::uint64_t drain_ms = 1000;

job::ending ending_of(const uvreap::child_exit& exit) {
  if (exit.lost) return job::ending::lost;
  return exit.status.signaled() ? job::ending::killed : job::ending::exited;
}

// spawn() has one error for the program, its interpreter and its directory.
std::string why_not_started(const job_request& asked, int error) {
  std::string why = error == not_a_program
                        ? "neither a program for this machine nor a script that begins with #!"
                        : spawn_failure({.argv = asked.argv, .cwd = asked.cwd}, error);
  return "cannot start " + asked.argv[0] + ": " + why;
}

std::string without_end(std::string line) {
  line.pop_back();
  return line;
}

}  // namespace

jobs::jobs(uv_loop_t& loop, children& children, store& store, const settings& settings)
    : loop_(loop), children_(children), store_(store), settings_(settings) {
  ids_.go_on_after(store.newest_id());
  uv_timer_init(&loop_, &drain_timer_);
  drain_timer_.data = this;
}

void jobs::close() {
  write_ends();
  for (job* one : std::exchange(unwritten_, {})) let_go(*one);  // the next server reports it as lost
  uv_close(reinterpret_cast<uv_handle_t*>(&drain_timer_), nullptr);
}

// ---- Beginning ----

void jobs::start(job_request asked, std::string client, std::function<void(const outcome&)> done) {
  bool waits = running_ >= static_cast<std::size_t>(settings_.max_jobs) || !queue_.empty();
  std::size_t memory = asked.memory();
  if (waits && (queue_.size() >= static_cast<std::size_t>(settings_.max_queue) ||
                queue_bytes_ + memory > settings_.keep_memory)) {
    return done({outcome::kind::full});
  }
  auto made = std::make_unique<job>();
  made->id = ids_.next();
  made->client = std::move(client);
  made->asked = std::move(asked);
  if (made->asked.input) made->input_bytes = made->asked.input->size();
  made->created = std::chrono::system_clock::now();
  if (!waits) made->started = made->created;
  if (!store_.begin(*made)) {
    check(false);
    return done({outcome::kind::not_stored});
  }
  job& job = *made;
  live_by_id_[job.id] = made.get();
  live_[job.number] = std::move(made);
  if (waits) {
    queue_.push_back(&job);
    queue_bytes_ += memory;
    on_change("queued", job, queue_.size());
    return done({outcome::kind::waits, 0, &job, queue_.size()});
  }
  spawn(job, [this, &job, done = std::move(done)](int error) {
    if (error == 0) return done({outcome::kind::runs, 0, &job});
    check(store_.erase(job));
    ++counted_.not_started;
    outcome failed{.what = outcome::kind::not_started, .error = error};
    failed.why = why_not_started(job.asked, error);
    let_go(job);
    done(failed);
    start_next();
  });
}

void jobs::spawn(job& job, std::function<void(int error)> done) {
  job.started_ns = uv_hrtime();
  ++running_;
  auto started = [this, &job, done = std::move(done)](int error, const children::child& child) {
    if (error == 0) {
      on_started(job, child);
    } else {
      --running_;
      job.started.reset();
    }
    done(error);
  };
  auto ended = [this, number = job.number](const uvreap::child_exit& exit) { on_exit(number, exit); };
  children_.spawn({.asked = job.asked, .grace = settings_.grace}, std::move(started), std::move(ended));
}

void jobs::on_started(job& job, const children::child& child) {
  job.pid = child.pid;
  if (job.asked.input) {
    job.input = std::make_unique<job_input>(loop_, child.input, *std::move(job.asked.input));
    job.asked.input.reset();
  }
  listen(job, stream::output, child.output);
  listen(job, stream::error_output, child.error_output);
  ++counted_.started;
  check(store_.update(job));
  on_change("start", job, 0);
  if (is_killing_) return children_.kill_group(job.pid);
  if (job.is_terminated) children_.terminate(job.pid, settings_.grace);
}

void jobs::listen(job& job, stream which, int descriptor) {
  auto at = static_cast<std::size_t>(which);
  auto keep = [this, &job, which, at](std::string_view bytes) {
    check(store_.append(job.number, which, job.outputs[at]->bytes(), bytes));
    auto [first, last] = followers_.equal_range(job.number);
    for (auto each = first; each != last; ++each) each->second->wake();
  };
  auto over = [this, &job] { finish_if_over(job); };
  job.outputs[at] = std::make_unique<job_output>(loop_, descriptor, settings_.keep_output, std::move(keep),
                                                 std::move(over));
}

// A start that fails may call this again, before spawn() has returned or later.
void jobs::start_next() {
  if (is_starting_next_) return;
  is_starting_next_ = true;
  has_no_room_ = false;
  while (!has_no_room_ && !queue_.empty() && running_ < static_cast<std::size_t>(settings_.max_jobs)) {
    job& next = *queue_.front();
    queue_.pop_front();
    queue_bytes_ -= next.asked.memory();
    next.started = std::chrono::system_clock::now();
    check(store_.update(next));  // who dies while it is being started cannot say that it was not
    spawn(next, [this, &next](int error) {
      if (error != 0) on_next_failed(next, error);
    });
  }
  is_starting_next_ = false;
}

void jobs::on_next_failed(job& job, int error) {
  if (!is_passing(error)) {
    job.why_not_started = why_not_started(job.asked, error);
    finish(job, job::ending::not_started);
    return start_next();
  }
  if (job.is_terminated) return finish(job, job::ending::canceled);
  if (std::string why = why_not(job.asked); !why.empty()) return cancel(job, why);
  has_no_room_ = true;
  check(store_.update(job));
  queue_.insert(queue_.begin() + static_cast<std::ptrdiff_t>(ahead_of(job)), &job);
  queue_bytes_ += job.asked.memory();
}

void jobs::on_beat() {
  start_next();
  write_ends();
  store_.sync(loop_);
}

// ---- Ending ----

void jobs::on_exit(std::int64_t number, const uvreap::child_exit& exit) {
  job& job = *live_.at(number);
  job.exit = exit;
  job.wall = std::chrono::nanoseconds(uv_hrtime() - job.started_ns);
  job.input.reset();  // whoever it left behind gets no more of it
  draining_.push_back({uv_now(&loop_) + drain_ms, number});
  finish_if_over(job);
  if (!draining_.empty() && uv_is_active(reinterpret_cast<uv_handle_t*>(&drain_timer_)) == 0) drain();
}

void jobs::finish_if_over(job& job) {
  bool is_open = std::any_of(job.outputs.begin(), job.outputs.end(),
                             [](const auto& output) { return output != nullptr && output->is_open(); });
  if (!job.exit || job.has_ended() || (is_open && !job.is_cut_by_time)) return;
  --running_;
  finish(job, ending_of(*job.exit));
  start_next();
}

// Those that are over already are no longer there.
void jobs::drain() {
  while (!draining_.empty()) {
    auto found = live_.find(draining_.front().number);
    if (found != live_.end() && draining_.front().until_ms > uv_now(&loop_)) break;
    draining_.pop_front();
    if (found == live_.end()) continue;
    found->second->is_cut_by_time = true;
    finish_if_over(*found->second);
  }
  if (draining_.empty()) return;
  auto due = [](uv_timer_t* timer) { static_cast<jobs*>(timer->data)->drain(); };
  uv_timer_start(&drain_timer_, due, draining_.front().until_ms - uv_now(&loop_), 0);
}

void jobs::finish(job& job, job::ending how) {
  job.end = how;
  count(job);
  bool is_written = store_.end(job);
  check(is_written);
  on_change("end", job, 0);
  if (is_written) return let_go(job);
  end_followers(job);
  unwritten_.push_back(&job);
}

// Of those that ended while the disk was full, or the database another's: until then they are here, and
// ended.
void jobs::write_ends() {
  while (!unwritten_.empty() && store_.end(*unwritten_.front())) {
    let_go(*unwritten_.front());
    unwritten_.pop_front();
  }
}

void jobs::end_followers(const job& job) {
  auto [first, last] = followers_.equal_range(job.number);
  for (auto each = first; each != last; ++each) {
    const auto& output = job.outputs[static_cast<std::size_t>(each->second->which())];
    each->second->end_at(output ? output->bytes() : 0);
  }
}

void jobs::let_go(job& job) {
  end_followers(job);
  live_by_id_.erase(job.id);
  live_.erase(job.number);
}

jobs::termination jobs::terminate(const std::string& id) {
  auto found = live_by_id_.find(id);
  if (found == live_by_id_.end()) return store_.find(id) ? termination::ended_before : termination::unknown;
  job& job = *found->second;
  if (job.has_ended()) return termination::ended_before;
  job.is_terminated = true;
  if (job.started) {
    if (job.pid != 0) children_.terminate(job.pid, settings_.grace);
  } else {
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(ahead_of(job)));
    queue_bytes_ -= job.asked.memory();
    finish(job, job::ending::canceled);
  }
  return termination::begun;
}

void jobs::cancel(job& job, const std::string& why) {
  job.why_not_started = "canceled while it waited: " + why + " any more";
  finish(job, job::ending::canceled);
}

void jobs::cancel_refused() {
  for (job* job : std::exchange(queue_, {})) {
    std::string why = why_not(job->asked);
    if (why.empty()) {
      queue_.push_back(job);
    } else {
      queue_bytes_ -= job->asked.memory();
      cancel(*job, why);
    }
  }
}

void jobs::terminate_all() {
  queue_bytes_ = 0;
  for (job* job : std::exchange(queue_, {})) finish(*job, job::ending::canceled);
  for (auto& [number, job] : live_) {
    if (job->has_ended()) continue;
    job->is_terminated = true;
    if (job->pid != 0) children_.terminate(job->pid, settings_.grace);
  }
}

void jobs::kill_all() {
  is_killing_ = true;
  for (auto& [number, job] : live_) {
    if (job->pid != 0 && !job->has_ended()) children_.kill_group(job->pid);
  }
}

void jobs::count(const job& job) {
  if (job.end == job::ending::canceled) ++counted_.canceled;
  if (job.end == job::ending::not_started) ++counted_.not_started;
  if (!job.exit) return;
  const uvreap::child_exit& exit = *job.exit;
  ++(exit.lost                ? counted_.lost
     : exit.status.signaled() ? counted_.signaled
     : exit.status.success()  ? counted_.succeeded
                              : counted_.failed);
  if (exit.timed_out) ++counted_.timed_out;
  double seconds = job.wall_ms() / 1000;
  const auto& classes = counters::wall_classes;
  auto at = std::lower_bound(classes.begin(), classes.end(), seconds) - classes.begin();
  ++counted_.wall[static_cast<std::size_t>(at)];
  counted_.wall_seconds += seconds;
}

void jobs::check(bool is_stored) {
  if (is_stored) return;
  ++counted_.not_stored;
  on_trouble("cannot write a job down: " + store_.wrong());
}

// ---- Telling ----

std::optional<std::string> jobs::text(const std::string& id) const {
  auto live = live_by_id_.find(id);
  if (live != live_by_id_.end()) {
    return text_of(live->second->full(position_of(*live->second)));
  }
  auto found = store_.find(id);
  return found ? std::optional(std::move(found->text)) : std::nullopt;
}

std::size_t jobs::position_of(const job& job) const {
  return job.started || job.has_ended() ? 0 : ahead_of(job) + 1;
}

std::size_t jobs::ahead_of(const job& job) const {
  auto is_before = [](const ::job* one, std::int64_t number) { return one->number < number; };
  auto place = std::lower_bound(queue_.begin(), queue_.end(), job.number, is_before);
  return static_cast<std::size_t>(place - queue_.begin());
}

std::string jobs::page(const std::string& after, int limit) const {
  auto rows = store_.page(after, limit + 1);
  bool has_more = rows.size() > static_cast<std::size_t>(limit);
  if (has_more) rows.pop_back();
  std::string text = "{\"jobs\":[";
  for (store::row& row : rows) {
    if (!text.ends_with('[')) text += ",\n";
    auto live = live_by_id_.find(row.id);
    if (live != live_by_id_.end()) row.text = text_of(live->second->brief(position_of(*live->second)));
    text += without_end(std::move(row.text));
  }
  return text + "],\"next\":" + (has_more ? '"' + rows.back().id + '"' : "null") + "}\n";
}

std::optional<jobs::output> jobs::find_output(const std::string& id, stream which) const {
  auto live = live_by_id_.find(id);
  if (live != live_by_id_.end()) {
    const auto& output = live->second->outputs[static_cast<std::size_t>(which)];
    return jobs::output{live->second->number, output ? output->bytes() : 0, live->second->has_ended()};
  }
  auto found = store_.find(id);
  if (!found) return {};
  return output{found->number, store_.length(found->number, which), true};
}

std::unique_ptr<body_stream> jobs::read(const output& from, stream which, std::size_t begin,
                                        std::size_t length) {
  return std::make_unique<output_reader>(store_, from.number, which, begin, begin + length);
}

std::unique_ptr<body_stream> jobs::follow(const output& of, stream which) {
  if (of.is_over) return read(of, which, 0, of.length);
  auto reader = std::make_unique<output_reader>(store_, of.number, which, 0, std::nullopt);
  auto place = followers_.emplace(of.number, reader.get());
  reader->on_gone = [this, place] { followers_.erase(place); };
  return reader;
}
