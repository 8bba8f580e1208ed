// Where uvreap run writes: standard output for what jobs wrote, standard error for what is said about them,
// and on a terminal a line below both that is drawn anew.
#pragma once

#include <uv.h>

#include <functional>
#include <string>
#include <string_view>

#include "../shared/output.hpp"

class console {
 public:
  // failed: standard output cannot be written. That nothing can be said on standard error is no reason for
  // anything to end.
  console(uv_loop_t&, std::function<void(int error)> failed);

  // Of jobs: whole lines, but for the pieces of a very long one.
  void out(std::string_view text);
  void err(std::string_view text);
  void say(std::string_view lines);  // about them, on standard error
  void live(std::string line);       // in place of the one that is there; empty: none

  [[nodiscard]] bool has_live_line() const { return has_live_line_; }
  [[nodiscard]] bool has_colours() const;  // no-color.org
  [[nodiscard]] int columns() const;

  // Too much waits to be read: who can wait should, until drained is called.
  [[nodiscard]] bool is_behind() const;
  void on_drained(const std::function<void()>& drained);

  void give_up();  // on a reader that does not read: the thread pool may be busy with it for ever
  [[nodiscard]] bool has_given_up() const { return has_given_up_; }
  [[nodiscard]] bool is_busy() const { return out_.is_busy() || err_.is_busy(); }

  [[nodiscard]] bool has_failed() const { return (out_error_ != 0 && jobs_use_out_) || has_lost_output(); }

  // Standard error cannot be written any more, and jobs had something to say there.
  [[nodiscard]] bool has_lost_output() const { return err_failed_ && jobs_use_err_; }

 private:
  output& to_err() { return is_one_ ? out_ : err_; }
  void out_failed(int error);
  void write(output& to, std::string_view text);
  void write_of_job(output& to, std::string_view text);

  std::function<void(int error)> failed_;
  output out_;
  output err_;
  bool is_one_;  // both are the same pipe, file or terminal: two writers would cross there
  bool has_live_line_;
  bool has_given_up_ = false;
  int out_error_ = 0;
  bool err_failed_ = false;
  bool jobs_use_out_ = false;
  bool jobs_use_err_ = false;
  output* mid_line_in_ = nullptr;  // a job's line goes on there
  std::string after_that_line_;    // what is to be said meanwhile
  std::string live_;
};
