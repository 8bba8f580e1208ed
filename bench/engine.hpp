// A way to learn that a child ended. One file each in engines/, all behind this.
//
//     auto engine = make_engine("libev", {children, [](int slot) { ... }});
//     if (std::string why = engine->start(); !why.empty()) skip(why);
//     engine->watch(pid, slot);
//     engine->turn(true);               // sleeps until something happens, and serves it
//
// An engine that is not built in is in the catalogue all the same, and says why not.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "nursery.hpp"

namespace bench {

// Of one child, by CLOCK_MONOTONIC in ns.
struct child_times {
  std::int64_t began = 0;  // to be made
  std::int64_t made = 0;
  std::int64_t told = 0;  // the first line of the callback
};

struct engine_setting {
  nursery& children;
  std::function<void(int slot)> ended;  // the callback: told once for each child
  std::function<void(int slot, const child_times&)> ended_elsewhere;  // the same, of a program
};

class engine {
 public:
  explicit engine(engine_setting setting) : setting_(std::move(setting)) {}
  virtual ~engine() = default;
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  virtual std::string start() = 0;  // empty, or why it cannot run here
  virtual void watch(pid_t, int slot) = 0;

  // Makes the child of this slot and watches it. Overridden by who makes its children itself.
  virtual void make(int slot) { watch(setting_.children.make(slot), slot); }
  [[nodiscard]] virtual bool makes_its_own() const { return false; }

  virtual void turn(bool may_sleep) = 0;
  // Until there is nothing to do. A few turns, since what one finds the next ones serve.
  virtual void calm_down() {
    for (int turns = 0; turns < 4; ++turns) turn(false);
  }
  // Of the process that makes and watches the children.
  [[nodiscard]] virtual std::int64_t cpu_time() const { return bench::cpu_time(); }
  // Of a program, which tells it only when it runs.
  [[nodiscard]] virtual std::string version() const { return {}; }
  // Until this child was told; an engine without a loop has other means.
  virtual void run_until_told(const std::int64_t& told_at, int slot) {
    (void)slot;
    while (told_at == 0) turn(true);
  }

  // For the storm, on the engine's own loop. False: it has no loop.
  virtual bool every_millisecond(const std::function<void()>&) { return false; }
  virtual bool on_readable(int, const std::function<void()>&) { return false; }

  // Makes a child of this program, that does nothing, and calls back when it has ended. False: it makes none
  // but the bench's own children.
  virtual bool run_program(const std::string&, const std::function<void()>&) { return false; }

  // Figures that it alone can tell, by metric and unit.
  struct own_figure {
    std::string metric;
    std::string unit;
    double value;
  };
  [[nodiscard]] virtual std::vector<own_figure> own_figures() const { return {}; }

 protected:
  void told(int slot) const { setting_.ended(slot); }
  void told_elsewhere(int slot, const child_times& when) const { setting_.ended_elsewhere(slot, when); }

  engine_setting setting_;
};

// What the catalogue knows of an engine without making one.
struct engine_entry {
  std::string name;
  std::string version;                                          // empty: not built in, or a program
  std::string absent;                                           // then why
  std::function<std::unique_ptr<engine>(engine_setting)> make;  // then empty
  int descriptors_per_child = 0;                                // held while it is watched
  int threads_per_child = 0;                                    // the same
  bool takes_any_child = false;                                 // waits for children that it was not given
  bool tells_before_it_reaps = false;  // then a second figure counts until it has reaped
  bool program = false;                // another process makes and watches: nothing to see in this one
};

const std::vector<engine_entry>& engine_catalogue();

// Entries that the catalogue is made of, in its order.
std::vector<engine_entry> floor_entries();
std::vector<engine_entry> uvreap_entries();
std::vector<engine_entry> uv_spawn_entries();
std::vector<engine_entry> libev_entries();
std::vector<engine_entry> glib_entries();
std::vector<engine_entry> sd_event_entries();
std::vector<engine_entry> wait_any_loop_entries();
std::vector<engine_entry> by_hand_entries();
std::vector<engine_entry> lean_epoll_entries();
std::vector<engine_entry> lean_ring_entries();
std::vector<engine_entry> wait_each_entries();
std::vector<engine_entry> program_entries();

template <class Engine, class... Arguments>
auto maker(Arguments... arguments) {
  return [=](engine_setting setting) -> std::unique_ptr<engine> {
    return std::make_unique<Engine>(std::move(setting), arguments...);
  };
}

}  // namespace bench
