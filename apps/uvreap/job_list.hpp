// The jobs of a run, one after another, as they are asked for: nothing is read ahead, and nothing kept.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "job.hpp"
#include "list_error.hpp"
#include "run_settings.hpp"

class job_list {
 public:
  struct listener {
    std::function<void()> more;                      // next() may have a job now
    std::function<void(const std::string&)> hinted;  // what its reader may not have meant
  };

  virtual ~job_list() = default;

  // Empty: there is none now, more() comes; or is_over(). Throws list_error, and goes on with what follows.
  [[nodiscard]] virtual std::optional<job> next() = 0;
  [[nodiscard]] virtual bool is_over() const = 0;
  virtual void close() = 0;  // nothing more is read

  // How much of the whole was handed out, from 0 to 1; empty: that cannot be known.
  [[nodiscard]] virtual std::optional<double> share() const = 0;
  [[nodiscard]] std::uint64_t jobs() const { return jobs_; }  // handed out so far, with what was broken

 protected:
  [[nodiscard]] job numbered(job made) {
    made.number = ++jobs_;
    return made;
  }
  void count_broken() { ++jobs_; }  // a part that is no job has its number, too

 private:
  std::uint64_t jobs_ = 0;
};

// The lists, or the command with its arguments, that the settings name. Throws list_error: one of the files
// cannot be read.
[[nodiscard]] std::unique_ptr<job_list> make_job_list(uv_loop_t&, const run_settings&,
                                                      const job_list::listener&);

[[nodiscard]] std::unique_ptr<job_list> make_listed_jobs(uv_loop_t&, const run_settings&,
                                                         const job_list::listener&);
[[nodiscard]] std::unique_ptr<job_list> make_argument_jobs(uv_loop_t&, const run_settings&,
                                                           const job_list::listener&);
