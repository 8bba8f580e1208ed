// soak CHILDREN [INDEX]: so many children of mixed kinds, in waves, through one reaper. Each must be told
// once, truly.
//
// Every child writes the wait word that it is about to end with into a page that it shares with us. They are
// made by reaper.fork, by fork and watch, by fork and a watch after the end, and by another thread with
// post_watch; they end by codes, by signals, and after a stop and a continue.
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#include "support/children.hpp"
#include "support/truth_page.hpp"
#include "uvreap/reaper.hpp"

namespace {

constexpr int wave_size = 500;
enum class ending { code, signal, real_time_signal, stopped_first };

class soak {
 public:
  explicit soak(uvreap::options options) : reaper_(*uv_default_loop(), std::move(options)) {}

  int run(int children) {
    int before = test::open_descriptors();
    if (int error = reaper_.start(); error != 0) return std::cerr << uv_strerror(error) << '\n', 1;
    for (int left = children; left > 0; left -= wave_size) {
      wave(std::min(left, wave_size));
      if (left % 10'000 == 0) std::cerr << left << " left\n";
    }
    std::cout << reaper_.stats() << '\n';
    reaper_.close();
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    if (!test::children().empty()) complain(-1, "a child is left");
    if (uv_loop_close(uv_default_loop()) != 0) complain(-1, "a handle is left");
    // libuv keeps its one signal pipe for the life of the process.
    if (test::open_descriptors() > before + 2) complain(-1, "descriptors are left");
    std::cout << told_ << " of " << children << " told, " << changes_ << " stops and continues, " << wrong_
              << " wrong\n";
    return wrong_ == 0 && told_ == children ? 0 : 1;
  }

 private:
  void wave(int size) {
    std::fill(times_told_.begin(), times_told_.end(), 0);
    int told_before = told_;
    for (int slot = 0; slot < size; ++slot) make(slot, static_cast<ending>(slot % 4), slot / 4 % 4);
    while (told_ < told_before + size && wrong_ == 0) uv_run(uv_default_loop(), UV_RUN_ONCE);
  }

  void make(int slot, ending how, int maker) {
    pid_t pid = 0;
    int error = 0;
    auto body = [this, slot, how] { return end(slot, how); };
    if (maker == 0) {
      error = reaper_.fork(&pid, body, options(how), told(slot));
    } else if (maker == 1) {
      pid = test::make_child(body);
      error = reaper_.watch(pid, options(how), told(slot));
    } else if (maker == 2) {
      pid = test::make_child(body);
      if (how != ending::stopped_first) test::wait_until_ended(pid);
      error = reaper_.watch(pid, options(how), told(slot));
    } else {
      // A hand-over has no options, so nobody would continue it after its stop.
      auto own = how == ending::stopped_first ? ending::code : how;
      auto other = [this, slot, own] { return end(slot, own); };
      std::thread([&] { reaper_.post_watch(test::make_child(other), told(slot)); }).join();
    }
    if (error != 0) complain(slot, uv_strerror(error));
  }

  // In the child.
  int end(int slot, ending how) {
    if (how == ending::signal || how == ending::real_time_signal) {
      int signum = how == ending::signal ? SIGTERM : SIGRTMIN + 1;
      truth_.plan(slot, test::killed_by(signum));
      ::raise(signum);
    }
    truth_.plan(slot, test::exited_with(slot));
    if (how == ending::stopped_first) ::raise(SIGSTOP);
    return slot & 0xff;
  }

  uvreap::watch_options options(ending how) {
    if (how != ending::stopped_first) return {};
    return {.on_change = [this](const uvreap::child_change& change) {
      ++changes_;
      if (change.status.stopped() && reaper_.kill(change.pid, SIGCONT) != 0) complain(-1, "no SIGCONT");
    }};
  }

  uvreap::callback told(int slot) {
    return [this, slot](const uvreap::child_exit& exit) {
      ++told_;
      if (++times_told_[static_cast<std::size_t>(slot)] != 1) complain(slot, "told again");
      if (exit.lost) complain(slot, "lost");
      if (exit.status.raw() != truth_.planned(slot)) complain(slot, "not what it ended with");
    };
  }

  void complain(int slot, const char* what) {
    if (++wrong_ <= 20) std::cerr << "slot " << slot << ": " << what << '\n';
  }

  uvreap::reaper reaper_;
  test::truth_page truth_{wave_size};
  std::vector<int> times_told_ = std::vector<int>(wave_size);
  int told_ = 0;
  int changes_ = 0;
  int wrong_ = 0;
};

uvreap::backend_kind index_named(std::string_view name) {
  for (auto kind : {uvreap::backend_kind::ring, uvreap::backend_kind::pidfd, uvreap::backend_kind::peek}) {
    if (std::ostringstream text; text << kind, text.str() == name) return kind;
  }
  return uvreap::backend_kind::automatic;
}

}  // namespace

int main(int argc, char** argv) {
  int children = argc > 1 ? std::atoi(argv[1]) : 0;
  if (children <= 0) return std::cerr << "usage: soak CHILDREN [ring|pidfd|peek]\n", 2;
  return soak({.backend = index_named(argc > 2 ? argv[2] : "")}).run(children);
}
