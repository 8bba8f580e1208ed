// What jobs write, said in whole lines: job by job when they have ended, or line by line as it comes, and in
// the order of the list where that is asked for. Until then it is kept in spools.
//
// A job whose spool cannot grow is read no further until all that comes before it is said; then its lines go
// straight through. So a full TMPDIR makes jobs wait, and loses nothing.
#pragma once

#include <uv.h>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "console.hpp"
#include "job_output.hpp"
#include "job_pipes.hpp"
#include "run_settings.hpp"

class printer {
 public:
  // Whose turn it is in the order of the list.
  struct turn {
    std::uint64_t job = 0;
    int attempt = 1;
    friend auto operator<=>(const turn&, const turn&) = default;
  };

  printer(uv_loop_t&, read_buffer&, console&, const run_settings&);

  // Each line begins with the tag.
  [[nodiscard]] std::unique_ptr<job_output> make(turn, std::string tag, job_output::listener);

  void expect(turn);   // where there is an order: those behind it wait for it
  void dismiss(turn);  // no more
  void go_on();        // as long as the console is not behind

 private:
  class printed;

  void want_turn(printed&);
  void rest_if_behind();
  void gone(printed&);

  uv_loop_t& loop_;
  read_buffer& buffer_;
  console& console_;
  bool by_line_;
  bool keeps_order_;
  std::map<turn, printed*> turns_;  // null: expected. Without an order: who wants to speak, as they came
  std::uint64_t tickets_ = 0;
  std::set<printed*> direct_;  // whose lines go straight through
  bool is_printing_ = false;
  bool has_said_full_ = false;
};
