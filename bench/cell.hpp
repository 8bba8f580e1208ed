// One engine, one scenario, one number of live children, in a process of its own: what a scenario works with.
//
//     cell.make_live();                          // the children that live on, all watched
//     int slot = cell.make_parked();             // one more, before its gate; the loop is calm
//     cell.children().let_go(slot);
//     cell.run_until_told(slot);
//     double late = cell.told_after(slot);       // ns, from its own stamp
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"
#include "figures.hpp"
#include "nursery.hpp"
#include "plant.hpp"
#include "scenario.hpp"

namespace bench {

struct cell_request {
  std::string scenario;
  std::string engine;
  int live = 0;
  int samples = 200;
  double seconds = 10;
  std::vector<std::string> plants;
};

class cell {
 public:
  cell(const cell_request&, const scenario&, const engine_entry&);  // throws skip, std::exception

  [[nodiscard]] const cell_request& request() const { return request_; }
  [[nodiscard]] const engine_entry& entry() const { return entry_; }
  [[nodiscard]] bench::engine& engine() { return *engine_; }
  [[nodiscard]] nursery& children() { return children_; }

  void make_live();  // as many as asked for, parked; the loop is calm then
  int make();        // one more, watched
  void make(int slot);
  int make_parked();  // the same, before its gate; the loop is calm
  void settle();      // serves what the loop still has to do, without sleeping

  // Both return when the callback's turn ended; of a program's callback, when the last one began.
  std::int64_t run_until_told(int slot);
  std::int64_t run_until_all_told(int count);  // since the start of the cell
  [[nodiscard]] int told_count() const { return told_count_; }
  [[nodiscard]] double told_after(int slot) const;  // ns since its stamp
  [[nodiscard]] const child_times& times_of(int slot) const { return times_[static_cast<std::size_t>(slot)]; }

  void add(const std::string& metric, const std::string& unit, double value);
  figures& results() { return results_; }
  void leave_out(const std::string& why) { left_out_ = why; }  // a part of the scenario, for the report
  [[nodiscard]] const std::string& left_out() const { return left_out_; }

 private:
  void ended(int slot);
  void ended_elsewhere(int slot, const child_times&);
  [[nodiscard]] std::int64_t turn_ended() const;

  const cell_request& request_;
  const engine_entry& entry_;
  planted planted_;
  nursery children_;
  std::vector<child_times> times_;
  std::int64_t last_told_ = 0;
  int told_count_ = 0;
  std::unique_ptr<bench::engine> engine_;
  figures results_;
  std::string left_out_;
};

// The hidden subcommand: runs it and prints one JSON object: figures, or skip, or error. The exit status.
int run_cell(const cell_request&);

}  // namespace bench
