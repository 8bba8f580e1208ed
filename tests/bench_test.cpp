// That the benchmark would see it if something got slower: faults are planted, and must show in its figures.
// And what it answers to nonsense, to a cell that hangs, and to Ctrl-C.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace {

using words = std::vector<std::string>;

// A directory of our own, removed at the end.
class scratch {
 public:
  scratch() { REQUIRE(::mkdtemp(name_.data()) != nullptr); }
  ~scratch() {
    for (const char* file : {"/out", "/json", "/old", "/new"}) ::unlink((name_ + file).c_str());
    ::rmdir(name_.c_str());
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return name_ + "/" + name; }

 private:
  std::string name_ = "/tmp/uvreap-bench-test-XXXXXX";
};

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Starts it with both outputs in a file.
pid_t start_bench(words arguments, const std::string& output) {
  arguments.insert(arguments.begin(), UVREAP_BENCH);
  std::vector<char*> pointers;
  for (auto& one : arguments) pointers.push_back(one.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, UVREAP_BENCH, &actions, nullptr, pointers.data(), environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  return pid;
}

int exit_code(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct answer {
  int code;
  std::string text;
};

answer bench(const words& arguments) {
  scratch place;
  int code = exit_code(start_bench(arguments, place.file("out")));
  return {code, text_of(place.file("out"))};
}

// One round; the value of a metric, or -1 if it is not there.
double measured(const words& what, const std::string& metric, const words& plants) {
  scratch place;
  words arguments = {"--rounds", "1", "--samples", "60", "--json", place.file("json")};
  arguments.insert(arguments.end(), what.begin(), what.end());
  for (const std::string& fault : plants) arguments.insert(arguments.end(), {"--plant", fault});
  CHECK(exit_code(start_bench(arguments, place.file("out"))) == 0);
  for (const auto& one : nlohmann::json::parse(text_of(place.file("json")))) {
    if (one["metric"] == metric) return one["value"].get<double>();
  }
  return -1;
}

// Two runs of which the second is slower by this share: 5 rounds with a little noise.
void write_run(const std::string& path, double times) {
  auto all = nlohmann::json::array();
  for (int round = 0; round < 5; ++round) {
    for (const char* engine : {"floor", "libev"}) {
      double value = (50 + round) * (std::string(engine) == "floor" ? 1 : times);
      all.push_back({{"scenario", "latency"},
                     {"engine", engine},
                     {"version", ""},
                     {"live", 0},
                     {"metric", "p50"},
                     {"unit", "us"},
                     {"value", value},
                     {"round", round}});
    }
  }
  std::ofstream(path) << all;
}

}  // namespace

TEST_CASE("a planted delay of 100 us in the callback path shows in the CPU per child") {
  // The best of some rounds in turns: a machine that others use as well makes figures larger, hardly ever
  // smaller.
  const words burst = {"--scenario", "burst", "--engine", "wait_any_loop", "--live", "300"};
  double plain = 1e9;
  double delayed = 1e9;
  for (int round = 0; round < 4; ++round) {
    plain = std::min(plain, measured(burst, "cpu_per_child", {}));
    delayed = std::min(delayed, measured(burst, "cpu_per_child", {"delay=100us"}));
  }
  MESSAGE("CPU per child in us: " << plain << " without, " << delayed << " with the delay");
  CHECK(delayed - plain > 60);
  CHECK(delayed - plain < 200);
}

TEST_CASE("a planted delay in the callback path shows in the latency") {
  // Long enough to stand out on a machine that others use: there the kernel's own part of an exit varies by
  // 20 us.
  const words latency = {"--scenario", "latency", "--engine", "floor", "--live", "0"};
  double plain = measured(latency, "min", {});
  double delayed = measured(latency, "min", {"delay=1000us"});
  MESSAGE("the least latency in us: " << plain << " without, " << delayed << " with the delay");
  CHECK(delayed - plain > 800);
  CHECK(delayed > 1000);
}

TEST_CASE("a planted system call for every child is counted") {
  const words latency = {"--scenario", "latency", "--engine", "by_hand", "--live", "0"};
  double plain = measured(latency, "syscalls_per_child", {});
  if (plain < 0) {
    MESSAGE("SKIP: ptrace is refused here");
    return;
  }
  CHECK(measured(latency, "syscalls_per_child", {"syscall"}) == plain + 1);
}

TEST_CASE("an unknown engine or scenario is refused, and those there are get listed") {
  answer engine = bench({"--engine", "floor,perpetuum"});
  CHECK(engine.code == 2);
  CHECK(engine.text.find("'perpetuum'") != std::string::npos);
  CHECK(engine.text.find("uvreap-ring-when-needed") != std::string::npos);
  answer scenario = bench({"--scenario", "moonshine"});
  CHECK(scenario.code == 2);
  CHECK(scenario.text.find("sigchld_lost") != std::string::npos);
}

TEST_CASE("too many children are refused by the name of the limit") {
  answer many = bench({"--scenario", "latency", "--engine", "floor", "--live", "2000000000"});
  CHECK(many.code == 2);
  CHECK(many.text.find("too many") != std::string::npos);
  CHECK(many.text.find("allows about") != std::string::npos);
}

TEST_CASE("an engine that hangs is reported, and the run goes on and fails") {
  // Without SIGCHLD libuv never hears of the child, and looks for 5 s.
  answer hung = bench({"--scenario", "sigchld_lost", "--engine", "uv_spawn,floor", "--live", "0", "--rounds",
                       "1", "--time-limit", "0.7"});
  CHECK(hung.code == 1);
  CHECK(hung.text.find("FAILED uv_spawn: hangs") != std::string::npos);
  CHECK(hung.text.find("floor: noticed of 3 3") != std::string::npos);
}

TEST_CASE("an interrupt in the middle leaves no child behind") {
  // What the bench lost would come to us.
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  scratch place;
  pid_t running = start_bench({"--scenario", "resting", "--engine", "floor", "--live", "50", "--rounds", "1"},
                              place.file("out"));
  ::usleep(400'000);  // anywhere in the middle will do: it has 10 s to rest
  REQUIRE(::kill(running, SIGINT) == 0);
  CHECK(exit_code(running) == 130);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_CASE("a peer in another language is measured, or it is said why not") {
  answer all = bench({"--scenario", "latency,spawn,memory", "--engine", "node,asyncio,go", "--live", "3",
                      "--rounds", "1", "--samples", "5"});
  CHECK(all.code == 0);
  for (const std::string engine : {"node", "asyncio", "go"}) {
    bool absent = all.text.find(engine + ": SKIP: not built in") != std::string::npos ||
                  all.text.find(engine + ": SKIP: " + (engine == "node" ? "node" : "python3") +
                                " is neither") != std::string::npos;
    if (absent) continue;
    CHECK(all.text.find("3 live, round 1, " + engine + ": p50 us ") != std::string::npos);
    CHECK(all.text.find("SKIP " + engine + ": what is measured is the bench's own process") !=
          std::string::npos);
  }
}

TEST_CASE("an interrupt leaves neither a peer in another language nor its children behind") {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  scratch place;
  pid_t running = start_bench({"--scenario", "latency", "--engine", "asyncio", "--live", "50", "--rounds",
                               "1", "--samples", "100000"},
                              place.file("out"));
  ::usleep(700'000);
  ::kill(running, SIGINT);
  int code = exit_code(running);
  bool absent = text_of(place.file("out")).find("SKIP: python3 is neither") != std::string::npos;
  CHECK(code == (absent ? 0 : 130));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_CASE("compare tells a change from noise") {
  scratch place;
  write_run(place.file("old"), 2.0);
  write_run(place.file("new"), 2.5);
  answer changed = bench({"compare", place.file("old"), place.file("new")});
  CHECK(changed.code == 0);
  CHECK(changed.text.find("+25.0 %  latency, 0 live, libev p50") != std::string::npos);
  CHECK(changed.text.find("1 of 2 figures changed") != std::string::npos);
  write_run(place.file("new"), 2.05);
  CHECK(bench({"compare", place.file("old"), place.file("new")}).text.find("0 of 2 figures") !=
        std::string::npos);
  CHECK(bench({"compare", "/nowhere", place.file("old")}).code == 2);
}
