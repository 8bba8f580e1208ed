// All jobs: those that wait, those that run, and, in the store, those that have ended.
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "children.hpp"
#include "http.hpp"
#include "job.hpp"
#include "output_reader.hpp"
#include "settings.hpp"
#include "store.hpp"
#include "uuid7.hpp"

class jobs {
 public:
  // Counted since the start, for metrics.
  struct counters {
    // Upper ends of the wall times' classes in seconds; the last class has none.
    static constexpr std::array<double, 7> wall_classes{0.001, 0.01, 0.1, 1, 10, 100, 1000};

    std::uint64_t started = 0;
    std::uint64_t not_started = 0;  // the command is not there, or the machine is full
    std::uint64_t canceled = 0;
    std::uint64_t succeeded = 0;  // exited with 0
    std::uint64_t failed = 0;
    std::uint64_t signaled = 0;
    std::uint64_t lost = 0;
    std::uint64_t timed_out = 0;   // some of the signaled, or what they made of the signal
    std::uint64_t not_stored = 0;  // writes that failed
    std::array<std::uint64_t, wall_classes.size() + 1> wall{};
    double wall_seconds = 0;
  };

  jobs(uv_loop_t&, children&, store&, const settings&);
  jobs(const jobs&) = delete;
  jobs& operator=(const jobs&) = delete;

  // queued, start and end, each with the job as it is then.
  std::function<void(const char* event, const job&, std::size_t position)> on_change;
  std::function<void(const std::string&)> on_trouble;  // what could not be written down, for the log
  // Why a job that waits may not begin; empty: it may. The rules may have changed since it came.
  std::function<std::string(const job_request&)> why_not = [](const job_request&) { return std::string(); };

  // Of the machine, not of the command: later it may be possible.
  [[nodiscard]] static bool is_passing(int error) {
    return error == UV_EAGAIN || error == UV_ENOMEM || error == UV_EMFILE || error == UV_ENFILE;
  }

  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  [[nodiscard]] bool is_empty() const { return live_.size() == unwritten_.size(); }
  [[nodiscard]] const counters& counted() const { return counted_; }
  [[nodiscard]] const store& kept() const { return store_; }

  struct outcome {
    enum class kind { runs, waits, full, not_started, not_stored } what;
    int error = 0;              // UV_E* of uvreap::spawn, of not_started
    const job* made = nullptr;  // that runs or waits
    std::size_t position = 0;   // of one that waits
    std::string why{};          // of not_started, for people
  };
  // done is called once, perhaps before this returns; until then a job that is being started is told of as
  // running, without a pid. One that neither runs nor waits then leaves nothing behind.
  void start(job_request, std::string client, std::function<void(const outcome&)> done);

  // JSON, a line. Empty: there is no such job, or it is no longer kept.
  [[nodiscard]] std::optional<std::string> text(const std::string& id) const;
  [[nodiscard]] std::string page(const std::string& after, int limit) const;

  struct output {
    std::int64_t number;
    std::size_t length;  // that is kept, so far
    bool is_over;        // nothing more comes
  };
  [[nodiscard]] std::optional<output> find_output(const std::string& id, stream) const;
  [[nodiscard]] std::unique_ptr<body_stream> read(const output&, stream, std::size_t from,
                                                  std::size_t length);
  [[nodiscard]] std::unique_ptr<body_stream> follow(const output&, stream);

  enum class termination { begun, ended_before, unknown };
  termination terminate(const std::string& id);
  void cancel_refused();  // those that wait, by why_not
  void terminate_all();   // nothing is started any more
  void kill_all();

  void on_beat();  // each second: what the machine had no room for is tried again
  void close();

 private:
  struct draining {
    std::uint64_t until_ms;
    std::int64_t number;
  };

  [[nodiscard]] std::size_t position_of(const job&) const;  // 0: it does not wait
  [[nodiscard]] std::size_t ahead_of(const job&) const;     // those in the queue that came before it
  void spawn(job&, std::function<void(int error)> done);
  void on_started(job&, const children::child&);
  void listen(job&, stream, int descriptor);
  void on_exit(std::int64_t number, const uvreap::child_exit&);
  void drain();
  void finish(job&, job::ending);
  void finish_if_over(job&);
  void write_ends();
  void end_followers(const job&);
  void let_go(job&);
  void start_next();
  void on_next_failed(job&, int error);
  void cancel(job&, const std::string& why);
  void count(const job&);
  void check(bool is_stored);

  uv_loop_t& loop_;
  children& children_;
  store& store_;
  const settings& settings_;
  uuid7 ids_;
  std::map<std::int64_t, std::unique_ptr<job>> live_;  // those that wait or run, by their number
  std::map<std::string, job*> live_by_id_;
  std::deque<job*> queue_;      // by their number, too
  std::deque<job*> unwritten_;  // ended, and still to be written down
  std::size_t queue_bytes_ = 0;
  std::size_t running_ = 0;  // those being started, too
  bool is_starting_next_ = false;
  bool has_no_room_ = false;  // the machine, for one that waited
  bool is_killing_ = false;
  std::deque<draining> draining_;  // exited, with an output still open
  uv_timer_t drain_timer_{};
  std::multimap<std::int64_t, output_reader*> followers_;  // by the job's number
  counters counted_;
};
