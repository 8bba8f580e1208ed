#include "jobs.hpp"

#include <algorithm>
#include <utility>

namespace {

constexpr std::size_t listed = 100;

}  // namespace

jobs::jobs(uv_loop_t& loop, children& children, const settings& settings)
    : loop_(loop), children_(children), settings_(settings) {}

int jobs::start(job_request request, const job** out) {
  auto made = std::make_unique<job>();
  std::uint64_t id = last_id_ + 1;
  int input_end = -1;
  children::order order{.argv = request.argv,
                        .keep_output = settings_.keep_output,
                        .timeout = request.timeout,
                        .grace = settings_.grace};
  made->started = std::chrono::system_clock::now();
  made->started_ns = uv_hrtime();
  auto told = [this, id](const uvreap::child_exit& exit) { ended(id, exit); };
  int error = children_.spawn(&made->pid, request.input ? &input_end : nullptr, order, told);
  if (error != 0) {
    ++counted_.not_started;
    return error;
  }
  last_id_ = made->id = id;
  made->argv = std::move(request.argv);
  made->timeout = request.timeout;
  if (request.input) made->input = std::make_unique<job_input>(loop_, input_end, *std::move(request.input));
  ++counted_.started;
  *out = made.get();
  running_.emplace(id, std::move(made));
  on_start(**out);
  return 0;
}

const job* jobs::find(std::uint64_t id) const {
  if (auto found = running_.find(id); found != running_.end()) return found->second.get();
  auto found = ended_by_id_.find(id);
  return found != ended_by_id_.end() ? found->second : nullptr;
}

job::json jobs::list() const {
  job::json all = job::json::array();
  for (const auto& [id, job] : running_) all.push_back(job->brief());
  auto first = ended_.end() - static_cast<std::ptrdiff_t>(std::min(listed, ended_.size()));
  for (auto at = first; at != ended_.end(); ++at) all.push_back((*at)->brief());
  return all;
}

void jobs::terminate(std::uint64_t id) {
  auto found = running_.find(id);
  if (found == running_.end()) return;
  found->second->is_terminated = true;
  children_.terminate(found->second->pid, settings_.grace);
}

void jobs::terminate_all() {
  for (auto& [id, job] : running_) {
    job->is_terminated = true;
    children_.terminate(job->pid, settings_.grace);
  }
}

void jobs::kill_all() {
  for (auto& [id, job] : running_) children_.kill_group(job->pid);
}

void jobs::ended(std::uint64_t id, const uvreap::child_exit& exit) {
  auto found = running_.find(id);
  std::unique_ptr<job> ended = std::move(found->second);
  running_.erase(found);
  ended->wall = std::chrono::nanoseconds(uv_hrtime() - ended->started_ns);
  ended->end = exit;
  ended->input.reset();  // whoever it left behind gets no more of it
  count(*ended);
  on_end(*ended);
  keep(std::move(ended));
}

void jobs::count(const job& job) {
  const uvreap::child_exit& exit = *job.end;
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

void jobs::keep(std::unique_ptr<job> job) {
  memory_ += job->memory();
  ended_by_id_[job->id] = job.get();
  ended_.push_back(std::move(job));
  while (!ended_.empty() &&
         (ended_.size() > static_cast<std::size_t>(settings_.keep) || memory_ > settings_.keep_memory)) {
    memory_ -= ended_.front()->memory();
    ended_by_id_.erase(ended_.front()->id);
    ended_.pop_front();
  }
}
