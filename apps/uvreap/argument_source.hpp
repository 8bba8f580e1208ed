// The arguments of one list, as they are asked for: words of the command line, or the lines of a file.
#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "argument_list.hpp"
#include "job_source.hpp"
#include "unread_text.hpp"

class argument_source {
 public:
  // end: of an argument in a file. Throws list_error: the file cannot be read.
  argument_source(uv_loop_t&, argument_list, char end, std::function<void()> more);

  // Empty: there is none now, more() comes; or is_over(). Throws list_error, and goes on behind it.
  [[nodiscard]] std::optional<std::string> next();
  [[nodiscard]] bool is_over() const;
  void close();

  [[nodiscard]] std::optional<double> share() const;  // as that of a job_list

 private:
  [[nodiscard]] std::optional<std::string> next_of_file();

  uv_loop_t& loop_;
  argument_list list_;
  char end_;
  std::function<void()> more_;
  std::size_t next_word_ = 0;

  job_source::pointer file_;
  unread_text text_;
  std::optional<std::size_t> size_;
  int read_error_ = 0;
  bool is_closed_ = false;
};
