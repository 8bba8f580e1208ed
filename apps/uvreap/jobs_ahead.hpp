// The jobs that come next, read a little ahead of those that run, so that it is known how many there are.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "job.hpp"
#include "job_list.hpp"
#include "run_settings.hpp"

class jobs_ahead {
 public:
  struct entry {
    job what{};
    std::string error{};  // not empty: this part of the list is no job
  };

  // As job_list has it. Throws list_error: it cannot be read.
  void start(uv_loop_t&, const run_settings&, job_list::listener);
  [[nodiscard]] std::optional<entry> next();  // empty: none now
  [[nodiscard]] bool has_next() const { return !ahead_.empty(); }
  [[nodiscard]] bool is_over() const { return ahead_.empty() && is_at_end_; }

  // None will begin any more: they are counted. The rest of a file is read for that; what is still to come
  // through a pipe is not waited for.
  void skip();
  void close();  // nothing more is read
  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }

  // Of the whole list: known when it was read to its end; before that by how much of it was read.
  [[nodiscard]] bool is_read() const { return is_read_; }
  [[nodiscard]] std::uint64_t jobs() const { return list_ ? list_->jobs() : 0; }  // so far
  [[nodiscard]] std::optional<std::uint64_t> expected() const;

 private:
  void read_ahead();
  void keep(entry);

  std::unique_ptr<job_list> list_;
  std::deque<entry> ahead_;
  std::size_t bytes_ahead_ = 0;
  bool is_at_end_ = true;  // nothing comes behind those that are ahead: it was closed, or
  bool is_read_ = false;   // read to its end
  bool is_skipping_ = false;
  std::uint64_t skipped_ = 0;
};
