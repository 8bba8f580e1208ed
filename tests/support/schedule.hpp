// One random schedule over the fake kernel, and the model it is checked against. See schedule_test.cpp.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "pass_rig.hpp"

namespace test {

class schedule {
 public:
  explicit schedule(unsigned seed);

  void step();    // something happens
  void finish();  // faults end, everybody ends; all must settle
  [[nodiscard]] const std::string& failure() const { return failure_; }  // empty: none yet

  struct tally {
    int told = 0, lost = 0, changes = 0, released = 0, forgotten = 0, kept = 0, reused_numbers = 0,
        cut_passes = 0;
    tally& operator+=(const tally&);
  };
  [[nodiscard]] tally counts() const;

 private:
  struct note;
  struct child {
    pid_t pid = 0;
    enum { living, zombie, taken, stolen } now = living;
    int word = -1;
    bool hidden = false;   // traced, or invisible without __WALL: only what is said to find it is the poller
    note* held = nullptr;  // what the reaper has of it
    int taken_in_pass = 0;
  };
  struct note {  // one watch
    child* whose;
    enum { watching, reserved, forgotten, over } now;
    bool wants_changes = false;
    std::deque<int> changes{};  // collected and not told yet
  };

  // What happens. Each picks somebody, or does nothing where nobody fits.
  void birth();
  void exit_of_somebody();
  void theft();
  void stop_or_continue();
  void tracer_comes_or_goes();
  void fault_comes();
  void watch_somebody();
  void watch_the_gone();
  void release_somebody();
  void forget_somebody();
  void one_pass();
  void check_all_found(bool by_poller);

  void watch_child(child&, bool reserve);
  void on_taken(pid_t, int word);
  void on_told(note&, const uvreap::child_exit&);
  void on_change(note&, int word);
  void settle();
  void must(bool held, const char* what, pid_t pid = 0);

  [[nodiscard]] int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  [[nodiscard]] bool one_in(int chance) { return below(chance) == 0; }
  template <class Fits>
  child* somebody(Fits);  // a random child that fits, of the last hundred; null: none

  std::mt19937 random_;
  std::string failure_;
  int steps_ = 0;
  int passes_ = 0;
  int called_back_ = 0;
  int takings_ = 0;
  bool faulty_ = false;
  bool quiet_ = false;  // callbacks do nothing
  tally counts_;

  int foreign_chance_, fault_chance_, largest_budget_;
  std::deque<child> children_;
  std::deque<note> notes_;
  pass_rig rig_;  // last: its callbacks point at all of the above
};

}  // namespace test
