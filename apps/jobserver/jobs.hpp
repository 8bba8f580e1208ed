// All jobs: those that run, and the last of those that have ended.
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "children.hpp"
#include "job.hpp"
#include "job_request.hpp"
#include "settings.hpp"

class jobs {
 public:
  // Counted since the start, for metrics.
  struct counters {
    // Upper ends of the wall times' classes in seconds; the last class has none.
    static constexpr std::array<double, 7> wall_classes{0.001, 0.01, 0.1, 1, 10, 100, 1000};

    std::uint64_t started = 0;
    std::uint64_t not_started = 0;  // the command is not there, or the machine is full
    std::uint64_t succeeded = 0;    // exited with 0
    std::uint64_t failed = 0;
    std::uint64_t signaled = 0;
    std::uint64_t lost = 0;
    std::uint64_t timed_out = 0;  // some of the signaled, or what they made of the signal
    std::array<std::uint64_t, wall_classes.size() + 1> wall{};
    double wall_seconds = 0;
  };

  jobs(uv_loop_t&, children&, const settings&);

  std::function<void(const job&)> on_start = [](const job&) {};
  std::function<void(const job&)> on_end = [](const job&) {};

  [[nodiscard]] bool is_full() const {
    return running_.size() >= static_cast<std::size_t>(settings_.max_jobs);
  }
  [[nodiscard]] std::size_t running() const { return running_.size(); }
  [[nodiscard]] std::size_t kept() const { return ended_.size(); }
  [[nodiscard]] std::size_t memory() const { return memory_; }
  [[nodiscard]] const counters& counted() const { return counted_; }

  // 0 and the job, or UV_E* of uvreap::spawn.
  [[nodiscard]] int start(job_request, const job** out);
  [[nodiscard]] const job* find(std::uint64_t id) const;  // null: there is none, or it is no longer kept
  [[nodiscard]] job::json list() const;                   // those that run, and the last hundred that ended

  void terminate(std::uint64_t id);
  void terminate_all();
  void kill_all();

 private:
  void ended(std::uint64_t id, const uvreap::child_exit&);
  void count(const job&);
  void keep(std::unique_ptr<job>);

  uv_loop_t& loop_;
  children& children_;
  const settings& settings_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::unique_ptr<job>> running_;
  std::deque<std::unique_ptr<job>> ended_;  // the oldest first
  std::map<std::uint64_t, const job*> ended_by_id_;
  std::size_t memory_ = 0;  // of the ended
  counters counted_;
};
