// soak_any ORPHANS [pid1|subreaper]: so many orphans in waves, some of them links of chains of dying parents,
// through one any() reaper on the main thread: at no grace, and then once more at the default grace.
//
// Beside it, at no grace, eight threads run as many of system, popen, posix_spawn and uv_spawn each; at the
// default grace the main thread itself runs some. Every one must get its own status. A watcher process looks
// from outside, through /proc: no zombie may stand for longer than the grace and 100 ms, and
// what the loop itself was late on a busy machine, which is printed.
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/proc.hpp"
#include "uvreap/process.hpp"
#include "uvreap/reaper.hpp"

namespace {

using std::chrono::milliseconds;

constexpr int threads_beside = 8;
constexpr int wave_size = 100;
constexpr int chain_length = 20;  // the first so many of each wave are links of one chain

// ---- What processes tell each other

struct slot {
  std::atomic<pid_t> pid;
  std::atomic<int> word;  // what it is about to end with
};

struct shared {
  std::atomic<std::uint64_t> longest_zombie_ns;  // as the watcher saw them
  std::atomic<std::uint64_t> zombies_seen;
  std::atomic<std::uint64_t> slowest_look_ns;  // of the watcher: how far its figures may be off
  std::atomic<std::uint64_t> latest_turn_ns;   // of the reaper's loop: the promise holds while it turns
  std::array<slot, wave_size> slots;
};

shared* share() {
  void* memory = ::mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<shared*>(memory);
}

void raise_to(std::atomic<std::uint64_t>& most, std::uint64_t value) {
  if (value > most) most = value;
}

// ---- The watcher, in a process of its own

// The reaper's children of its main thread that are zombies. Those of other threads are their owners'
// business.
std::set<pid_t> zombies_of(pid_t reaper) {
  std::set<pid_t> all = test::children_of(reaper);
  std::erase_if(all, [](pid_t child) { return test::state_of(child) != 'Z'; });
  return all;
}

// Until it has ended; its wait word.
int watch_zombies_of(pid_t reaper, shared& page) {
  std::map<pid_t, std::uint64_t> since;
  std::uint64_t last_look = uv_hrtime();
  int word = -1;
  while (::waitpid(reaper, &word, WNOHANG) == 0) {
    std::uint64_t now = uv_hrtime();
    raise_to(page.slowest_look_ns, now - last_look);
    last_look = now;
    std::map<pid_t, std::uint64_t> still;
    for (pid_t pid : zombies_of(reaper)) {
      auto known = since.find(pid);
      if (known == since.end()) ++page.zombies_seen;
      std::uint64_t first = known == since.end() ? now : known->second;
      still.emplace(pid, first);
      raise_to(page.longest_zombie_ns, now - first);
    }
    since.swap(still);
    ::usleep(2000);
  }
  return word;
}

// ---- Beside it: other threads that wait for their own

constexpr int expected = 7 << 8;

bool by_system() { return ::system("exit 7") == expected; }

bool by_popen() {
  FILE* pipe = ::popen("exit 7", "r");
  return pipe != nullptr && ::pclose(pipe) == expected;
}

bool by_posix_spawn() {
  const char* arguments[] = {"sh", "-c", "exit 7", nullptr};
  pid_t pid = 0;
  if (::posix_spawn(&pid, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments), environ) != 0)
    return false;
  int word = 0;
  return ::waitpid(pid, &word, 0) == pid && word == expected;
}

bool by_uv_spawn(uv_loop_t& loop) {
  char shell[] = "/bin/sh", flag[] = "-c", script[] = "exit 7";
  char* arguments[] = {shell, flag, script, nullptr};
  std::int64_t told = -1;
  uv_process_t process;
  process.data = &told;
  uv_process_options_t options{};
  options.file = shell;
  options.args = arguments;
  options.exit_cb = [](uv_process_t* ended, std::int64_t code, int) {
    *static_cast<std::int64_t*>(ended->data) = code;
    uv_close(reinterpret_cast<uv_handle_t*>(ended), nullptr);
  };
  if (uv_spawn(&loop, &process, &options) != 0) return false;
  uv_run(&loop, UV_RUN_DEFAULT);
  return told == 7;
}

struct beside {
  std::atomic<int> left;  // of each kind
  std::atomic<int> wrong{0};

  explicit beside(int count) : left(count) {}

  void run() {
    uv_loop_t loop;
    uv_loop_init(&loop);
    while (left.fetch_sub(1) > 0) {
      wrong += by_system() ? 0 : 1;
      wrong += by_popen() ? 0 : 1;
      wrong += by_posix_spawn() ? 0 : 1;
      wrong += by_uv_spawn(loop) ? 0 : 1;
    }
    uv_loop_close(&loop);
  }
};

// ---- The orphans, and the reaper

bool refuse(const char* what) {
  std::perror(what);
  return false;
}

bool settle_in(bool as_pid_1) {
  if (!as_pid_1) return uvreap::become_subreaper() == 0 || refuse("no subreaper");
  bool own_proc = ::unshare(CLONE_NEWNS) == 0 &&
                  ::mount("none", "/", "none", MS_REC | MS_PRIVATE, nullptr) == 0 &&
                  ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
  return own_proc || refuse("no /proc of its own");
}

class soak {
 public:
  soak(shared& page, milliseconds grace)
      : page_(page), reaper_(*uv_default_loop(), options(grace)), grace_(grace) {}

  bool run(int orphans, int others) {
    if (int error = reaper_.start(); error != 0) return complain(uv_strerror(error)), false;
    measure_turns();
    beside others_beside(others);
    std::atomic<int> running{others > 0 ? threads_beside : 0};
    std::vector<std::thread> threads;
    for (int i = running; i > 0; --i) {
      threads.emplace_back([&] {
        others_beside.run();
        --running;
      });
    }
    // Orphans until both are done, so that nobody works beside a resting reaper.
    for (made_ = 0; made_ < orphans || running > 0;) {
      wave();
      if (grace_.count() != 0) wait_on_the_main_thread();
    }
    for (auto& thread : threads) thread.join();
    if (others_beside.wrong != 0) complain("statuses were taken from other threads");
    print(others_beside, others);
    reaper_.close();
    uv_close(reinterpret_cast<uv_handle_t*>(&turns_), nullptr);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return wrong_ == 0;
  }

 private:
  uvreap::options options(milliseconds grace) {
    return {.children = uvreap::scope::any(),
            .poll_every = std::chrono::seconds(60),  // so that it is never what finds an orphan
            .on_unclaimed = [this](const uvreap::child_exit& exit) { told(exit); },
            .unclaimed_grace = grace};
  }

  // How late the loop is, since the machine is busy or since the main thread waits for a child.
  void measure_turns() {
    uv_timer_init(uv_default_loop(), &turns_);
    turns_.data = this;
    auto tick = [](uv_timer_t* timer) {
      auto* self = static_cast<soak*>(timer->data);
      std::uint64_t now = uv_hrtime();
      std::uint64_t expected_at = std::exchange(self->next_tick_ns_, now + 5'000'000);
      if (expected_at != 0 && now > expected_at) raise_to(self->page_.latest_turn_ns, now - expected_at);
    };
    uv_timer_start(&turns_, tick, 5, 5);
    uv_unref(reinterpret_cast<uv_handle_t*>(&turns_));
  }

  // Code that waits for its own children between the turns of the loop is protected by the grace.
  void wait_on_the_main_thread() {
    for (int i = 0; i < 10; ++i) {
      bool well = by_system() && by_popen() && by_posix_spawn() && by_uv_spawn(*uv_default_loop());
      if (!well) complain("a status was taken from the main thread");
      on_main_thread_ += 1;
    }
  }

  // A parent that makes them and ends, while the loop turns.
  void wave() {
    for (slot& one : page_.slots) one.pid = 0;
    told_now_.clear();
    parent_told_ = false;
    pid_t parent = 0;
    auto tell = [this](const uvreap::child_exit&) { parent_told_ = true; };
    if (reaper_.fork(
            &parent, [this] { return make_orphans(); }, tell) != 0)
      return complain("no parent");
    uv_timer_t late;
    uv_timer_init(uv_default_loop(), &late);
    bool is_late = false;
    late.data = &is_late;
    uv_timer_start(
        &late, [](uv_timer_t* timer) { *static_cast<bool*>(timer->data) = true; }, 30'000, 0);
    while (!is_late && !(parent_told_ && told_now_.size() >= wave_size))
      uv_run(uv_default_loop(), UV_RUN_ONCE);
    uv_close(reinterpret_cast<uv_handle_t*>(&late), nullptr);
    uv_run(uv_default_loop(), UV_RUN_NOWAIT);
    made_ += wave_size;
    check_wave();
  }

  void check_wave() {
    for (slot& one : page_.slots) {
      auto found = told_now_.find(one.pid);
      if (found == told_now_.end()) {
        complain("an orphan was never told");
      } else if (found->second != one.word) {
        complain("an orphan was told otherwise than it ended");
      }
    }
    if (told_now_.size() > wave_size) complain("somebody was told who is no orphan");
  }

  int make_orphans() {
    pid_t first = ::fork();
    if (first == 0) chain_from(0);
    page_.slots[0].pid = first;
    for (int i = chain_length; i < wave_size; ++i) {
      pid_t pid = ::fork();
      if (pid == 0) {
        ::usleep(static_cast<useconds_t>(i * 300));
        end(i);
      }
      page_.slots[static_cast<std::size_t>(i)].pid = pid;
    }
    return 0;
  }

  [[noreturn]] void chain_from(int link) {
    if (link + 1 < chain_length) {
      pid_t pid = ::fork();
      if (pid == 0) chain_from(link + 1);
      page_.slots[static_cast<std::size_t>(link) + 1].pid = pid;
    }
    end(link);
  }

  [[noreturn]] void end(int number) {
    slot& mine = page_.slots[static_cast<std::size_t>(number)];
    bool by_signal = number % 3 == 2;
    mine.word = by_signal ? SIGKILL : (number & 0xff) << 8;
    if (by_signal) ::raise(SIGKILL);
    ::_exit(number & 0xff);
  }

  void told(const uvreap::child_exit& exit) {
    if (!told_now_.emplace(exit.pid, exit.status.raw()).second) complain("told again");
  }

  void print(const beside& others_beside, int others) {
    std::cout << "grace " << grace_.count() << " ms: " << made_ << " orphans";
    if (others > 0) {
      std::cout << "; beside it " << others << " each of system, popen, posix_spawn and uv_spawn in "
                << threads_beside << " threads, " << others_beside.wrong << " without their own status";
    }
    if (on_main_thread_ > 0) std::cout << "; " << on_main_thread_ << " each of these on the main thread";
    std::cout << "\n  " << reaper_.stats() << std::endl;
  }

  void complain(const char* what) {
    if (++wrong_ <= 20) std::cerr << "WRONG: " << what << std::endl;
  }

  shared& page_;
  uvreap::reaper reaper_;
  milliseconds grace_;
  std::map<pid_t, int> told_now_;
  bool parent_told_ = false;
  uv_timer_t turns_{};
  std::uint64_t next_tick_ns_ = 0;
  int made_ = 0;
  int on_main_thread_ = 0;
  int wrong_ = 0;
};

// The watcher is its parent, in the namespaces outside; what it found decides too.
bool run_watched(milliseconds grace, int orphans, int others, bool as_pid_1) {
  shared* page = share();
  if (page == nullptr || (as_pid_1 && ::unshare(CLONE_NEWPID) != 0)) return refuse("no pid namespace");
  pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!settle_in(as_pid_1)) ::_exit(1);
    bool well = soak(*page, grace).run(orphans, others);
    std::cout.flush();
    ::_exit(well ? 0 : 1);
  }
  int word = watch_zombies_of(pid, *page);

  auto ms = [](std::uint64_t ns) { return milliseconds(ns / 1'000'000); };
  // It is noticed in one turn and taken in another.
  auto limit = grace + milliseconds(100) + 2 * ms(page->latest_turn_ns) + ms(page->slowest_look_ns);
  bool in_time = ms(page->longest_zombie_ns) <= limit;
  std::cout << "  from outside: " << page->zombies_seen << " zombies seen, the longest for "
            << ms(page->longest_zombie_ns).count() << " ms (the loop at most "
            << ms(page->latest_turn_ns).count() << " ms late, looks at most "
            << ms(page->slowest_look_ns).count() << " ms apart)" << std::endl;
  if (!in_time) std::cerr << "WRONG: a zombie stood longer than " << limit.count() << " ms" << std::endl;
  return word == 0 && in_time;
}

// In a process of its own, since only the first child after unshare(2) is PID 1.
bool in_a_process(const std::function<bool()>& part) {
  std::cout.flush();
  pid_t pid = ::fork();
  if (pid == 0) {
    bool well = part();
    std::cout.flush();
    ::_exit(well ? 0 : 1);
  }
  int word = -1;
  return ::waitpid(pid, &word, 0) == pid && word == 0;
}

}  // namespace

int main(int argc, char** argv) {
  int orphans = argc > 1 ? std::atoi(argv[1]) : 0;
  std::string_view place = argc > 2 ? argv[2] : "subreaper";
  if (orphans <= 0 || (place != "pid1" && place != "subreaper")) {
    return std::cerr << "usage: soak_any ORPHANS [pid1|subreaper]\n", 2;
  }
  bool as_pid_1 = place == "pid1";
  bool well = in_a_process([&] { return run_watched(milliseconds(0), orphans, orphans, as_pid_1); });
  well = in_a_process([&] { return run_watched(milliseconds(100), orphans, 0, as_pid_1); }) && well;
  std::cout << (well ? "PASSED" : "FAILED") << " as " << (as_pid_1 ? "PID 1" : "a subreaper") << std::endl;
  return well ? 0 : 1;
}
