// In the place of tini, docker-init, dumb-init and catatonit: under their names their options, environment
// and exit statuses. What all of them do for a command is in init_compare_test.cpp.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/clean_floor.hpp"
#include "support/commands.hpp"
#include "support/contender.hpp"

namespace {

using test::no_pid_1;
using test::probe;
using test::supervised;
using test::words;
using test::operator+;  // NOLINT(misc-unused-using-decls): clang-tidy does not see operators
using namespace std::chrono_literals;

// A program under another name.
class alias {
 public:
  explicit alias(const std::string& name, const char* program = "UVREAP_INIT")
      : path_(directory_.path() + "/" + name) {
    std::filesystem::create_symlink(std::getenv(program), path_);
  }
  [[nodiscard]] words with(const words& arguments) const { return words{path_} + arguments; }

 private:
  test::scratch_directory directory_;
  std::string path_;
};

words with_environment(const std::string& variable, const words& command) {
  return words{"env", variable} + command;
}

bool complains(supervised& run, const std::string& what) {
  return run.errors().find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("each name has the exit statuses of its program: bad usage, no such command, not executable") {
  test::clean_floor floor;
  struct statuses {
    std::string name;
    int usage, not_found, not_executable;
  };
  for (const statuses& one : {statuses{"uvreap-init", 2, 127, 126}, statuses{"tini", 1, 127, 126},
                              statuses{"tini-static", 1, 127, 126}, statuses{"docker-init", 1, 127, 126},
                              statuses{"dumb-init", 1, 2, 2}, statuses{"catatonit", 1, 1, 1}}) {
    CAPTURE(one.name);
    for (const char* program : {"UVREAP_INIT", "UVREAP_PROGRAM"}) {
      alias init(one.name, program);
      supervised bad(init.with({"-Z", "true"}));
      CHECK(bad.end() == one.usage);
      CHECK(bad.errors().starts_with(one.name + ": -Z: no such option\nUsage: " + one.name));
      CHECK(supervised(init.with({})).end() == one.usage);
      supervised nowhere(init.with({"--", "no-such-command"}));
      CHECK(nowhere.end() == one.not_found);
      CHECK(complains(nowhere, one.name + ": cannot run no-such-command: no such file or directory\n"));
      CHECK(supervised(init.with({"/etc/passwd"})).end() == one.not_executable);
      CHECK(supervised(init.with({"sh", "-c", "exit 42"})).end() == 42);
    }
  }
}

TEST_CASE("--version begins as that of the program in whose place it is, and says that it is not that") {
  test::clean_floor floor;
  auto version_of = [](const std::string& name) {
    alias init(name);
    supervised run(init.with({"--version"}));
    CHECK(run.end() == 0);
    CHECK(run.errors().empty());
    return run.output();
  };
  CHECK(version_of("uvreap-init").starts_with("uvreap init 0."));
  CHECK(version_of("tini").starts_with("tini version 0.19.0 (uvreap init 0."));
  CHECK(version_of("docker-init").starts_with("tini version 0.19.0 (uvreap init 0."));  // dockerd reads it
  CHECK(version_of("dumb-init").starts_with("dumb-init v1.2.5 (uvreap init 0."));
  CHECK(version_of("catatonit").starts_with("tini version 0.1.7_catatonit (uvreap init 0."));
  supervised program({std::getenv("UVREAP_PROGRAM"), "--version"});
  CHECK(program.end() == 0);
  CHECK(program.output().starts_with("uvreap 0."));
}

TEST_CASE("the environment of tini is read under its names, and under no other") {
  test::clean_floor floor;
  words adopted = probe({"adopted"});
  for (std::string name : {"tini", "docker-init"}) {
    CAPTURE(name);
    alias tini(name);
    supervised subreaper(with_environment("TINI_SUBREAPER=", tini.with(adopted)));
    CHECK(subreaper.end() == 0);
    CHECK(subreaper.errors().empty());
    CHECK(supervised(tini.with(adopted)).end() == 1);
    supervised group(with_environment("TINI_KILL_PROCESS_GROUP=1", tini.with(probe({"group", "20000"}))));
    CHECK(group.end() == 0);
    CHECK(group.output() == "child group\n");
    supervised quiet(with_environment("TINI_VERBOSITY=0", tini.with({"true"})));
    CHECK(quiet.end() == 0);
    CHECK(quiet.errors().empty());
    supervised loud(with_environment("TINI_VERBOSITY=2", tini.with({"true"})));
    CHECK(loud.end() == 0);
    CHECK(complains(loud, " exited with 0 "));
  }
  alias own("uvreap-init");
  CHECK(supervised(with_environment("TINI_SUBREAPER=1", own.with(adopted))).end() == 1);
}

TEST_CASE("tini's options in one word, as Docker and scripts have them") {
  test::clean_floor floor;
  alias tini("tini");
  supervised run(tini.with({"-sgvvw", "-p", "SIGKILL", "-e", "143", "--", "sh", "-c", "kill $$"}));
  CHECK(run.end() == 0);
  CHECK(complains(run, "killed by signal 15"));
}

TEST_CASE("as dumb-init: a session, the group gets the signals, and TERM when the command has ended") {
  test::clean_floor floor;
  alias dumb("dumb-init");
  supervised session(dumb.with({"sh", "-c", "test \"$(ps -o sid= -p $$ | tr -d ' ')\" = $$"}));
  CHECK(session.end() == 0);
  CHECK(session.errors().empty());
  supervised group(dumb.with(probe({"group", "20000"})));
  CHECK(group.end() == 0);
  CHECK(group.output() == "child group\n");
  supervised polite(dumb.with(probe({"leave", "polite"})));
  CHECK(polite.end() == 0);
  CHECK(polite.says("ended well\n"));  // after its end: it does not wait for it
  (void)polite.left();

  for (const words& alone : {dumb.with({"-c"}), dumb.with({"--single-child"}),
                             with_environment("DUMB_INIT_SETSID=0", dumb.with({}))}) {
    supervised one(alone + probe({"group", "300"}));
    CHECK(one.end() == 0);
    CHECK(one.output() == "child \n");
    supervised left(alone + probe({"leave", "polite"}));
    CHECK(left.end() == 0);
    CHECK(left.left() == 1);  // untouched, as there
    CHECK(left.output().empty());
  }
}

TEST_CASE("as dumb-init: stops of the terminal are handed on as SIGSTOP, unless they are rewritten") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  alias dumb("dumb-init");
  words as_pid_1 = {"unshare", "-pf", "--mount-proc", "--kill-child"};
  CHECK(supervised(as_pid_1 + dumb.with({"-r", "20:10", "-r", "21:12"}) + probe({"as", "20", "10", "20000"}))
            .end() == 0);
  CHECK(supervised(as_pid_1 + dumb.with({"-r", "15:0"}) + probe({"as", "15", "15", "300"})).end() == 1);
  // Of two the last, and of a signal that is never handed on none, are taken without a word.
  CHECK(supervised(as_pid_1 + dumb.with({"-r", "20:12", "-r", "20:10", "-r", "17:2", "-r", "9:2"}) +
                   probe({"as", "20", "10", "20000"}))
            .end() == 0);
  CHECK(supervised(dumb.with({"--rewrite", "15:3"}) + probe({"stopped"})).end() == 0);
  supervised stopped(as_pid_1 + dumb.with(probe({"stopped_by", "20"})));
  CHECK(stopped.end() == 0);
  CHECK(stopped.output() == "stopped\n");
}

TEST_CASE("as dumb-init: DUMB_INIT_DEBUG=1 and -v say what happens") {
  test::clean_floor floor;
  alias dumb("dumb-init");
  for (const words& talks :
       {with_environment("DUMB_INIT_DEBUG=1", dumb.with({})), dumb.with({"-v"}), dumb.with({"--verbose"})}) {
    supervised run(talks + words{"true"});
    CHECK(run.end() == 0);
    CHECK(complains(run, "dumb-init: pid "));
  }
  supervised quiet(with_environment("DUMB_INIT_DEBUG=0", dumb.with({"true"})));
  CHECK(quiet.end() == 0);
  CHECK(quiet.errors().empty());
}

TEST_CASE("as catatonit: a subreaper, and -P waits for SIGTERM or SIGINT") {
  test::clean_floor floor;
  alias catatonit("catatonit");
  supervised adopts(catatonit.with(probe({"adopted"})));
  CHECK(adopts.end() == 0);
  CHECK(adopts.errors().empty());
  for (int signum : {SIGTERM, SIGINT}) {
    supervised pause(catatonit.with({"-v", "-P", "words", "of the image"}));
    REQUIRE(pause.says("reaping until"));
    pause.send(signum);
    CHECK(pause.end() == 0);
  }
}

TEST_CASE("under a peer's name nothing waits for what is left, and --grace ends it") {
  if (no_pid_1()) return;
  test::clean_floor floor;
  for (std::string name : {"tini", "dumb-init", "catatonit"}) {
    CAPTURE(name);
    alias init(name);
    words as_pid_1 = {"unshare", "-pf", "--mount-proc", "--kill-child"};
    supervised at_once(as_pid_1 + init.with(probe({"leave", "stubborn"})));
    CHECK(at_once.end(4s) == 0);  // the grace of our own names is 5 s
    CHECK(at_once.left() == 0);
    supervised waits(as_pid_1 + init.with({"--grace", "60"}) + probe({"leave", "polite"}));
    CHECK(waits.end() == 0);
    CHECK(waits.output() == "ended well\n");
  }
}
