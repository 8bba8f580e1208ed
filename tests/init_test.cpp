// uvreap init, from outside: what it alone has, and what it says to bad arguments and bad streams. What it
// shares with its like is in init_compare_test.cpp.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/children.hpp"
#include "support/clean_floor.hpp"
#include "support/contender.hpp"
#include "support/proc.hpp"

namespace {

using nlohmann::json;
using test::no_pid_1;
using test::probe;
using test::stream;
using test::supervised;
using test::words;
using test::operator+;  // NOLINT(misc-unused-using-decls): clang-tidy does not see operators
using namespace std::chrono_literals;

words plainly(const words& options, const words& command) {
  return test::uvreap_init().plainly(options, command);
}

words as_pid_1(const words& options, const words& command) {
  return test::uvreap_init().as_pid_1(options, command);
}

words bare(const words& arguments) { return test::uvreap_init().program + arguments; }

int count(const std::string& text, const std::string& part) {
  int times = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++times;
  return times;
}

}  // namespace

TEST_CASE("-s without PID 1: the same exit statuses, and nothing is said") {
  test::clean_floor floor;
  for (int code : {0, 7, 255}) {
    supervised run(plainly({"-s"}, {"sh", "-c", "exit " + std::to_string(code)}));
    CHECK(run.end() == code);
    CHECK(run.errors().empty());
    CHECK(run.left() == 0);
  }
  CHECK(supervised(plainly({"-s"}, {"sh", "-c", "kill -SEGV $$"})).end() == 128 + SIGSEGV);
}

TEST_CASE("a signal from outside comes to the child, and ends both") {
  test::clean_floor floor;
  supervised sleeper(plainly({}, {"sh", "-c", "echo up; exec sleep 600"}));
  REQUIRE(sleeper.says("up"));
  sleeper.send(SIGTERM);
  CHECK(sleeper.end() == 128 + SIGTERM);
}

TEST_CASE("a signal that it may not send on is told") {
  if (::geteuid() != 0) {
    MESSAGE("SKIP: only root can give up the right to signal others");
    return;
  }
  test::clean_floor floor;
  words without_the_right = {"setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill"};
  words of_another_user = {
      "setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", "echo began; exec sleep 600"};
  supervised run(without_the_right + plainly({"-s"}, of_another_user));
  REQUIRE(run.says("began\n"));
  pid_t init = *test::children().begin();
  run.send(SIGTERM);
  CHECK(run.says("cannot hand on SIGTERM: operation not permitted\n"));
  for (pid_t one : test::children_of(init)) ::kill(one, SIGKILL);
  CHECK(run.end() == 128 + SIGKILL);
}

TEST_CASE("what is left gets SIGTERM at once, stopped or not, and SIGKILL when the grace is over") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  for (bool is_pid_1 : {true, false}) {
    CAPTURE(is_pid_1);
    auto run = [is_pid_1](const words& options, const words& command) {
      return is_pid_1 ? as_pid_1(options, command) : plainly(words{"-s"} + options, command);
    };
    supervised polite(run({"--grace", "600"}, probe({"leave", "polite", "stopped"})));
    CHECK(polite.end() == 0);
    CHECK(polite.output() == "ended well\n");
    CHECK(polite.left() == 0);

    supervised all(run({"--grace", "1", "-w"}, probe({"leave", "stubborn", "apart", "deep"})));
    CHECK(all.end() == 0);
    CHECK(all.output() == "ended well\n");  // the deep one, below one that did not hear SIGTERM
    CHECK(count(all.errors(), "killed by signal 9") == 3);
    CHECK(count(all.errors(), "exited with 0") == 1);
    CHECK(all.left() == 0);

    supervised at_once(run({"--grace", "0"}, probe({"leave", "stubborn"})));
    CHECK(at_once.end() == 0);
    CHECK(at_once.left() == 0);
  }
}

TEST_CASE("-w says a line for each orphan, and for nobody else") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  supervised run(as_pid_1({"-w"}, probe({"orphans", "100"})));
  CHECK(run.end() == 0);
  std::string errors = run.errors();
  CHECK(count(errors, "uvreap init: reaped orphan pid ") == count(errors, "\n"));
  CHECK(count(errors, "\n") >= 100);
  CHECK(count(errors, "exited with 1 ") == 25);
  CHECK(supervised(as_pid_1({"-w"}, {"true"})).errors().empty());
}

TEST_CASE("orphans that ended together with the child are told, too") {
  test::clean_floor floor;
  // Stopped while all of them end, it finds them in one pass, the child first. (It has looked for orphans at
  // its start, and looks again 10 ms later at the soonest. The three end after the exec: a shell may reap its
  // own.)
  std::string script = "sleep 0.05; kill -STOP $PPID;";
  for (int i = 0; i < 3; ++i) script += "(sleep 0.05; exit 7) & ";
  script += "exec true";
  for (const char* how : {"-w", "--stats"}) {  // one at a time: writes to one memfd may cover each other
    CAPTURE(how);
    supervised run(plainly({"-s", how}, {"sh", "-c", script}));
    pid_t init = *test::children().begin();
    auto have_ended = [init] {
      std::set<pid_t> all = test::children_of(init);
      return all.size() == 4 &&
             std::all_of(all.begin(), all.end(), [](pid_t pid) { return test::state_of(pid) == 'Z'; });
    };
    for (int tries = 0; tries < 10'000 && !have_ended(); ++tries) ::usleep(2000);
    run.send(SIGCONT);
    CHECK(run.end() == 0);
    bool warns = how == std::string("-w");
    CHECK(count(run.errors(), warns ? "exited with 7" : "\"orphans\":{\"reaped\":3") == (warns ? 3 : 1));
  }
}

TEST_CASE("--stats is one object: the child's end, what it used, the orphans, the reaper") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  supervised run(as_pid_1({"--stats"}, probe({"orphans", "10"})));
  CHECK(run.end() == 0);
  CHECK(run.output().empty());
  auto stats = json::parse(run.errors(), nullptr, false);
  REQUIRE_MESSAGE(stats.is_object(), run.errors());
  CHECK(stats["exit_status"] == 0);
  CHECK(stats["child"]["pid"] == 2);
  CHECK(stats["child"]["exit_code"] == 0);
  CHECK(stats["child"]["signal"].is_null());
  CHECK(stats["child"]["wall_us"] > 0);
  CHECK(stats["child"]["rusage"]["max_rss_bytes"] > 0);
  CHECK(stats["orphans"]["reaped"] >= 10);
  CHECK(stats["signals_forwarded"] == 0);
  CHECK(stats["killed_leftovers"] == false);
  CHECK(stats["reaper"]["reaped"] == 1 + stats["orphans"]["reaped"].get<int>());
  CHECK(stats["reaper"]["lost"] == 0);
  std::string backend = test::uvreap_init().program.back();
  CHECK(stats["reaper"]["backend"] == (backend == "automatic" ? "ring" : backend));
  CHECK(stats["rusage"]["self"]["max_rss_bytes"] > 0);
  CHECK(stats["rusage"]["children"]["minor_faults"] > 0);
}

TEST_CASE("--stats=FILE goes to a file, and tells of signals") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  std::string path = "/tmp/uvreap-init-" + std::to_string(::getpid()) + ".json";
  supervised run(
      as_pid_1({"--stats=" + path, "-r", "1:9", "--grace", "0.2"},
               {"sh", "-c", "(trap '' TERM; echo up; exec sleep 600) & read x; kill -HUP 1; wait"}),
      {.input = "go\n"});
  CHECK(run.end() == 128 + SIGKILL);
  CHECK(run.errors().empty());
  std::ifstream file(path);
  auto stats = json::parse(file, nullptr, false);
  ::unlink(path.c_str());
  REQUIRE(stats.is_object());
  CHECK(stats["exit_status"] == 137);
  CHECK(stats["child"]["exit_code"].is_null());
  CHECK(stats["child"]["signal"] == 9);
  CHECK(stats["child"]["status"] == "killed by signal 9 (SIGKILL)");
  CHECK(stats["signals_forwarded"] == 1);
}

TEST_CASE("stats that cannot be written are an error of ours, but the child's failure is told first") {
  test::clean_floor floor;
  supervised never(plainly({"--stats=/no/such/directory/x"}, {"sh", "-c", "echo ran"}));
  CHECK(never.end() == 255);
  CHECK(never.output().empty());
  CHECK(never.errors() == "uvreap init: cannot open /no/such/directory/x: no such file or directory\n");

  supervised full(plainly({"-s", "--stats=/dev/full"}, {"sh", "-c", "echo ran"}));
  CHECK(full.end() == 255);
  CHECK(full.output() == "ran\n");
  CHECK(full.errors() == "uvreap init: cannot write the stats: no space left on device\n");
  CHECK(supervised(plainly({"--stats=/dev/full"}, {"sh", "-c", "exit 3"})).end() == 3);
}

TEST_CASE("a FIFO for the stats that nobody reads is an error, before the command begins") {
  test::clean_floor floor;
  std::string fifo = std::filesystem::temp_directory_path() / ("uvreap-" + std::to_string(::getpid()));
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  supervised run(plainly({"-s", "--stats=" + fifo}, {"echo", "began"}));
  CHECK(run.end() == 255);
  CHECK(run.output().empty());
  CHECK(run.errors().find("cannot open " + fifo) != std::string::npos);
  ::unlink(fifo.c_str());
}

TEST_CASE("closed, full and broken streams end nothing") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  for (stream bad : {stream::closed, stream::full_disk, stream::broken_pipe}) {
    CHECK(supervised(as_pid_1({"-w"}, probe({"orphans", "20"})), {.errors = bad}).end() == 0);
    CHECK(supervised(as_pid_1({"-w"}, probe({"orphans", "20"})), {.output = bad}).end() == 0);
    CHECK(supervised(plainly({"--stats"}, {"true"}), {.errors = bad}).end() == 255);
    supervised help(bare({"--help"}), {.output = bad});
    CHECK(help.end() == 255);
    CHECK(help.errors().find("cannot write to stdout") != std::string::npos);
  }
}

TEST_CASE("a closed descriptor is closed for the child, too, and it gets none of ours") {
  test::clean_floor floor;
  words list = {"sh", "-c", "echo || echo closed >&2; ls /proc/$$/fd >&2; true"};
  supervised without(list, {.output = stream::closed});
  supervised with(plainly({"-s", "-w"}, list), {.output = stream::closed});
  CHECK(without.end() == with.end());
  CHECK(with.errors() == without.errors());
  CHECK(with.errors().find("closed\n") != std::string::npos);
}

TEST_CASE("a stderr that nobody reads holds up neither the reaping nor the end") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  supervised run(as_pid_1({"-w"}, probe({"orphans", "400"})), {.errors = stream::stuck_pipe});
  CHECK(run.end() == 0);
}

TEST_CASE("SIGCHLD and SIGPIPE ignored before it are ignored by the child, and the child is not lost") {
  test::clean_floor floor;
  for (std::string signum : {"13", "17"}) {
    words grep = {"grep", "^Sig[BI]", "/proc/self/status"};
    supervised with(probe({"ignore", signum}) + plainly({}, grep));
    supervised without(probe({"ignore", signum}) + grep);
    CHECK(without.end() == 0);
    CHECK(with.end() == 0);
    CHECK(with.output() == without.output());
    CHECK(supervised(probe({"ignore", signum}) + plainly({}, {"sh", "-c", "exit 6"})).end() == 6);
  }
}

TEST_CASE("its own messages do not stop it, with a terminal that stops who writes from the background") {
  test::clean_floor floor;
  // It ends when the message was read: what a terminal holds may be lost when its session ends.
  words command = {"sh", "-c", "stty tostop; \"$0\" orphans 20 && read line"};
  supervised run(probe({"shell"}) + plainly({"-s", "-w"}, command + probe({})), {.on_terminal = true});
  CHECK(run.says("reaped orphan"));
  run.type("\n");
  CHECK(run.end() == 0);
  CHECK(run.output().find("[stopped]") == std::string::npos);
}

TEST_CASE("Ctrl-C on a terminal comes to the child once") {
  test::clean_floor floor;
  words command = {
      "sh", "-c",
      "n=0; trap 'n=$((n+1)); echo n=$n' INT; echo up; while [ $n = 0 ]; do sleep 0.05; done; exit 4"};
  supervised run(plainly({}, command), {.on_terminal = true});
  REQUIRE(run.says("up"));
  run.type("\003");
  CHECK(run.end() == 4);
  CHECK(run.output().find("n=2") == std::string::npos);
}

TEST_CASE("bad arguments are told on stderr, with a usage line and 2, and nothing is begun") {
  test::clean_floor floor;
  const std::vector<words> bad = {
      {"--bogus"},
      {"-z"},
      {"-gz"},
      {"-r", "x"},
      {"-r", "15"},
      {"-r", ":"},
      {"-r", "15:"},
      {"-r", ":3"},
      {"-r", "15:65"},
      {"-r", "0:3"},
      {"-r", "65:3"},
      {"-r", "-1:3"},
      {"-r", "9:3"},
      {"-r", "19:3"},
      {"-r", "17:3"},
      {"-r", "32:3"},
      {"-r", "1:2x"},
      {"-r", "1:2:3"},
      {"-r", "99999999999:1"},
      {"-r", "1:2", "-r", "1:3"},
      {"--grace", "-1"},
      {"--grace", "nan"},
      {"--grace", "inf"},
      {"--grace", "5s"},
      {"--grace", ""},
      {"--grace", "1e9"},
      {"--backend", "best"},
      {"--stats="},
      {"-r", "SIGNOTHING:3"},
      {"-r", "TERM:RTMAX+1"},
      {"-r", "RTMIN+99:3"},
      {"-e", "256"},
      {"-e", "-1"},
      {"-e", "x"},
      {"-e", ""},
      {"-p", "0"},
      {"-p", "SIGNOTHING"},
      {"-P"},
  };
  for (const words& arguments : bad) {
    CAPTURE(arguments.front());
    CAPTURE(arguments.back());
    supervised run(bare(arguments + words{"--", "sh", "-c", "echo begun"}));
    CHECK(run.end() == 2);
    CHECK(run.output().empty());
    CHECK(run.errors().find("uvreap init: ") == 0);
    CHECK(run.errors().find("\nUsage: uvreap init [OPTIONS]") != std::string::npos);
  }
  for (const words& nothing : {words{}, words{"--"}, words{"-g"}, words{"-r"}}) {
    CHECK(supervised(bare(nothing)).end() == 2);
  }
  supervised unknown(bare({"--bogus", "true"}));
  CHECK(unknown.end() == 2);
  CHECK(unknown.errors().find("--bogus") != std::string::npos);
}

TEST_CASE("the command's own options are the command's") {
  test::clean_floor floor;
  supervised run(bare({"-s", "echo", "-w", "--help", "--", "-r"}));
  CHECK(run.end() == 0);
  CHECK(run.output() == "-w --help -- -r\n");
  CHECK(supervised(bare({"--", "-no-such-command"})).end() == 127);
}

TEST_CASE("-e: these exit codes are told as 0, those of signals too, and no other") {
  test::clean_floor floor;
  words options = {"-s", "-e", "3", "-e", "143"};
  CHECK(supervised(plainly(options, {"sh", "-c", "exit 3"})).end() == 0);
  CHECK(supervised(plainly(options, {"sh", "-c", "kill $$"})).end() == 0);
  CHECK(supervised(plainly(options, {"sh", "-c", "exit 4"})).end() == 4);
  CHECK(supervised(plainly(options, {"no-such-command"})).end() == 127);
}

TEST_CASE("signals have names: with SIG or without, in any case, and counted from both ends") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  for (const words& pair : {words{"SIGTERM:SIGQUIT", "15", "3"}, words{"term:Quit", "15", "3"},
                            words{"HUP:RTMIN+1", "1", "35"}, words{"RTMAX-1:USR1", "63", "10"}}) {
    CAPTURE(pair.front());
    CHECK(supervised(as_pid_1({"-r", pair[0]}, probe({"as", pair[1], pair[2], "20000"}))).end() == 0);
  }
}

TEST_CASE("-P: no command, orphans are reaped, and SIGTERM or SIGINT is the end, with 0") {
  test::clean_floor floor;
  for (int signum : {SIGTERM, SIGINT}) {
    supervised run(bare({"-s", "-v", "-P", "--stats"}));
    REQUIRE(run.says("until SIGTERM"));
    run.send(SIGHUP);
    run.send(signum);
    CHECK(run.end() == 0);
    CHECK(run.errors().find("\"exit_status\":0,\"child\":null") != std::string::npos);
  }
}

TEST_CASE("-p: when its parent ends, it gets the signal and hands it on") {
  test::clean_floor floor;
  std::string command = "trap 'echo told; exit 0' USR1; echo up; while :; do sleep 0.05; done";
  words init = bare({"-s", "-p", "USR1", "--", "sh", "-c", command});
  // The shell before the pipe is its parent, and is killed when the command is up.
  supervised run(words{"sh", "-c", "\"$@\" | { read up; kill -KILL $$; cat; }", "sh"} + init);
  CHECK(run.end() == 1000 + SIGKILL);
  CHECK(run.says("told"));
}

TEST_CASE("a warning where orphans go elsewhere, and none where it was not to be heard") {
  test::clean_floor floor;
  supervised plain(plainly({}, {"true"}));
  CHECK(plain.end() == 0);
  CHECK(count(plain.errors(), "neither process 1 nor a subreaper") == 1);
  CHECK(count(plain.errors(), "\n") == 1);
}

TEST_CASE("it keeps neither the directory nor the pipes of its command") {
  test::clean_floor floor;
  std::string script =
      "pwd -P; until [ \"$(readlink /proc/$PPID/cwd)\" = / ]; do sleep 0.01; done; echo left";
  supervised run(plainly({"-s"}, {"sh", "-c", script + "; exec sleep 600"}));
  REQUIRE(run.says("left"));
  char here[4096];
  REQUIRE(::getcwd(here, sizeof here) != nullptr);
  run.send(SIGTERM);
  CHECK(run.end() == 128 + SIGTERM);
  CHECK(run.output() == std::string(here) + "\nleft\n");

  // cat sees the end of the pipe when the command closes it, while the command and init live on.
  words pipeline = {"sh", "-c", "\"$@\" | { cat; echo end; }", "sh"};
  supervised piped(pipeline + plainly({"-s"}, {"sh", "-c", "exec >/dev/null; exec sleep 600"}));
  CHECK(piped.says("end"));
}

TEST_CASE("a stderr that was full is told how much was lost, non-blocking or not") {
  test::clean_floor floor;
  for (std::string how : {"blocking", "nonblocking"}) {
    CAPTURE(how);
    supervised run(probe({"late_reader", how}) + plainly({"-s", "-w"}, probe({"orphans", "40"})));
    CHECK(run.end() == 0);
    CHECK(run.output().find("lines lost: nobody read them\n") != std::string::npos);
  }
}

TEST_CASE("at rest it does not wake up each second") {
  test::clean_floor floor;
  supervised run(plainly({"-s"}, {"sh", "-c", "echo up; exec sleep 600"}));
  REQUIRE(run.says("up"));
  pid_t init = *test::children().begin();
  auto wakeups = [init] {
    std::ifstream status("/proc/" + std::to_string(init) + "/status");
    std::string word;
    while (status >> word && word != "voluntary_ctxt_switches:") {
    }
    int count = -1;
    status >> count;
    return count;
  };
  ::usleep(500'000);  // it may still be about to come to rest
  int before = wakeups();
  REQUIRE(before > 0);
  ::usleep(2'500'000);
  CHECK(wakeups() - before <= 1);
  run.send(SIGTERM);
  CHECK(run.end() == 128 + SIGTERM);
}

TEST_CASE("7 descriptors are enough, and fewer are told before anything begins") {
  test::clean_floor floor;
  auto with = [](const std::string& descriptors, const words& options) {
    return words{"sh", "-c", "ulimit -n " + descriptors + "; exec \"$@\"", "sh"} +
           words{test::uvreap_init().program[0], "init"} + options + words{"sh", "-c", "ulimit -n"};
  };
  supervised enough(with("7", {"-s"}));
  CHECK(enough.end() == 0);
  CHECK(enough.output() == "7\n");
  supervised warned(with("7", {}));
  CHECK(warned.end() == 0);
  supervised few(with("6", {"-s"}));
  CHECK(few.end() == 255);
  CHECK(few.output().empty());
  CHECK(few.errors() == "uvreap init: cannot have enough descriptors: too many open files\n");
}

TEST_CASE("the static program stays small") {
  const char* most = std::getenv("UVREAP_INIT_MOST_BYTES");
  if (most == nullptr) {
    MESSAGE("SKIP: uvreap-init is not static here, or not optimized");
    return;
  }
  CHECK(std::filesystem::file_size(std::getenv("UVREAP_INIT")) <= std::stoul(most));
}

TEST_CASE("help is no error") {
  supervised run(bare({"--help"}));
  CHECK(run.end() == 0);
  CHECK(run.output().find("--rewrite FROM:TO") != std::string::npos);
  CHECK(run.errors().empty());
}
