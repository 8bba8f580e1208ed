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
  console(uv_loop_t&, std::function<void(int error)> failed);

  void out(std::string_view text);  // whole lines
  void err(std::string_view text);
  void live(std::string line);  // in place of the one that is there; empty: none

  [[nodiscard]] bool has_live_line() const { return has_live_line_; }
  [[nodiscard]] int columns() const;

  // Too much waits to be read: who can wait should, until drained is called.
  [[nodiscard]] bool is_behind() const;
  void on_drained(const std::function<void()>& drained);

 private:
  output& to_out() { return is_one_terminal_ ? err_ : out_; }
  void write(output& to, std::string_view text);

  output out_;
  output err_;
  bool is_one_terminal_;  // both are the same: one writer, or the two would cross
  bool has_live_line_;
  std::string live_;
};
