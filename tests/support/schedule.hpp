// One random schedule over the fake kernel, and the model it is checked against. See schedule_test.cpp.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core_rig.hpp"

namespace test {

class schedule {
 public:
  explicit schedule(unsigned seed);

  void step();    // something happens
  void finish();  // faults end, everybody ends; all must settle
  [[nodiscard]] const std::string& failure() const { return failure_; }  // empty: none yet

  struct tally {
    int delivered = 0, lost = 0, recovered = 0, changes = 0, released = 0, detached = 0, reserved = 0,
        signalled = 0;
    int reused_numbers = 0;        // of whatever ended
    int reused_under_a_watch = 0;  // of a stolen child whose watch is open
    int cut_sweeps = 0;
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
    int taken_in_sweep = 0;

    [[nodiscard]] bool is_there() const { return now == living || now == zombie; }
  };
  struct note {  // one watch
    child* whose;
    enum { watching, reserved, detached, over } now;
    bool wants_changes = false;
    std::deque<int> changes{};  // collected and not delivered yet
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
  void detach_somebody();
  void kill_somebody();
  void one_sweep();
  void check_all_found(bool by_poller);

  void watch_child(child&, bool reserve);
  [[nodiscard]] bool may_be_reused(const child&) const;
  [[nodiscard]] bool has_held_namesake(const child&) const;
  void wake_all(bool by_poller);
  void on_taken(pid_t, int word);
  void on_delivered(note&, const uvreap::child_exit&);
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
  int sweeps_ = 0;
  int called_back_ = 0;
  int takings_ = 0;
  bool faulty_ = false;
  bool quiet_ = false;  // callbacks do nothing
  tally counts_;

  int foreign_chance_, fault_chance_;
  known_by how_;
  std::deque<child> children_;
  std::deque<note> notes_;
  core_rig rig_;  // last: its callbacks point at all of the above
};

}  // namespace test
