// What a PID 1 has to do, and who does it: uvreap init, tini, dumb-init and catatonit under the same cases.
// The table of docs/init.md is these rows.
#include <doctest/doctest.h>
#include <signal.h>

#include <set>
#include <string>

#include "support/contender.hpp"
#include "support/places.hpp"

namespace {

using test::compare;
using test::contender;
using test::no_pid_1;
using test::probe;
using test::supervised;
using test::words;
using test::operator+;  // NOLINT(misc-unused-using-decls): clang-tidy does not see operators
using namespace std::chrono_literals;

const std::set<std::string> all = {"uvreap init", "tini", "dumb-init", "catatonit"};

std::string ms(std::chrono::milliseconds time) { return std::to_string(time.count()); }

// What hangs does not hold.
int end_of(const contender& one, const words& command) { return supervised(command).end(one.patience + 1s); }

int end_as_pid_1(const contender& one, const words& command) {
  return end_of(one, one.as_pid_1({}, command));
}

// Whether each of these signals to it comes to its child.
bool hands_on(const contender& one, const words& signals) {
  return end_as_pid_1(one, probe({"back", ms(one.patience)}) + signals) == 0;
}

std::string mask_of(const words& command) {
  supervised run(command);
  CHECK(run.end() == 0);
  return run.output();
}

// Whether a line of the child's /proc/self/status is the same with and without it.
bool leaves_alone(const contender& one, const std::string& line, const words& before) {
  words grep = {"grep", "^" + line, "/proc/self/status"};
  return mask_of(before + one.plainly({}, grep)) == mask_of(before + grep);
}

}  // namespace

TEST_CASE("the exit status is the child's, and 128 more than the signal that killed it") {
  if (no_pid_1()) return;
  compare("exits as its child exited, or with 128 + the signal that killed it", all,
          [](const contender& one) {
            for (int code : {0, 1, 2, 42, 126, 127, 128, 254, 255}) {
              if (end_as_pid_1(one, {"sh", "-c", "exit " + std::to_string(code)}) != code) return false;
            }
            for (int signum : {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGKILL, SIGSEGV, SIGTERM}) {
              words end = {"sh", "-c", "ulimit -c 0; kill -" + std::to_string(signum) + " $$"};
              if (end_as_pid_1(one, end) != 128 + signum) return false;
            }
            return true;
          });
  compare("exits with 0 for an exit code that is named, if asked", {"uvreap init", "tini"},
          [](const contender& one) {
            if (!one.told_as_0) return false;
            words options = {*one.told_as_0, "3", *one.told_as_0, "143"};
            auto end = [&](const std::string& script) {
              return end_of(one, one.as_pid_1(options, {"sh", "-c", script}));
            };
            return end("exit 3") == 0 && end("kill $$") == 0 && end("exit 4") == 4;
          });
}

TEST_CASE("all of them say who they are, and refuse what they do not know") {
  compare("says its version, and refuses an option that it does not know", all, [](const contender& one) {
    supervised version(words{one.program[0]} +
                       (one.name == "uvreap init" ? words{"init", "--version"} : words{"--version"}));
    return version.end() == 0 && end_of(one, one.plainly({"-Z"}, {"true"})) != 0 &&
           end_of(one, one.program) != 0;
  });
}

TEST_CASE("it may end with its parent, and may have no command") {
  compare("gets a signal when its parent ends, if asked", {"uvreap init", "tini"}, [](const contender& one) {
    if (!one.parent_death_signal) return false;
    std::string script = "trap 'echo told; exit 0' USR1; echo up; while :; do sleep 0.05; done";
    words init = one.plainly({*one.parent_death_signal, "SIGUSR1"}, {"sh", "-c", script});
    supervised run(words{"sh", "-c", "\"$@\" | { read up; kill -KILL $$; cat; }", "sh"} + init);
    (void)run.end();
    return run.says("told", one.patience);
  });
  compare("runs no command and only reaps, if asked", {"uvreap init", "catatonit"}, [](const contender& one) {
    if (!one.pause) return false;
    words init = one.program + *one.pause;
    // The shell would end of it; and until init has begun, the kernel drops what is sent to process 1.
    std::string sender =
        "(while [ \"$(cat /proc/1/comm)\" = sh ]; do :; done; while kill -INT 1; do sleep 0.05; done) &";
    words run = {"unshare", "-pf", "--mount-proc", "--kill-child", "sh", "-c", sender + " exec \"$@\"", "sh"};
    return end_of(one, run + init) == 0;
  });
}

TEST_CASE("it warns where it cannot do its work") {
  compare("warns if it is neither PID 1 nor a subreaper", {"uvreap init", "tini"}, [](const contender& one) {
    supervised run(one.plainly({}, {"true"}));
    return run.end() == 0 && run.errors().find("zombie reaping won't work") != std::string::npos;
  });
}

TEST_CASE("it holds nothing of its command's") {
  compare("holds neither the directory nor the pipes of its child", {"uvreap init"},
          [](const contender& one) {
            words pipeline = {"sh", "-c", "\"$@\" | { cat; echo end; }", "sh"};
            supervised piped(pipeline + one.plainly({}, {"sh", "-c", "exec >/dev/null; exec sleep 600"}));
            if (!piped.says("end", one.patience)) return false;
            std::string script = "until [ \"$(readlink /proc/$PPID/cwd)\" = / ]; do sleep 0.01; done";
            return end_of(one, one.plainly({}, {"sh", "-c", script})) == 0;
          });
}

TEST_CASE("it starts where there is little") {
  if (no_pid_1() || test::no_places()) return;
  auto runs = [](const contender& one, const words& command) {
    supervised run(command);
    return run.end(one.patience + 1s) == 42 && run.errors().empty();
  };
  words exits_with_42 = {"sh", "-c", "exit 42"};
  // One that is asked for by name may be refused, and needs descriptors of its own.
  auto with_own_backend = [](const contender& one) {
    return one.name == "uvreap init" ? words{one.program[0], "init", "--"} : one.program + words{"--"};
  };
  compare("starts as PID 1 with neither /proc nor /dev, read-only, as an ordinary user", all,
          [&](const contender& one) {
            std::string bare = "umount -l /proc; mount -t tmpfs none /dev; mount -o remount,ro,bind /";
            return runs(one, test::as_pid_1_in(bare, test::as_ordinary_user(one.plainly({}, exits_with_42))));
          });
  compare("starts where seccomp refuses io_uring and clone3, as in Docker", all, [&](const contender& one) {
    return runs(one, test::as_pid_1_in("", test::as_docker_has_it(with_own_backend(one) + exits_with_42)));
  });
  compare("starts with 8 descriptors, and with a pid limit of 2", all, [&](const contender& one) {
    test::pid_limit two(2);
    return runs(one, test::as_pid_1_in("ulimit -n 8", with_own_backend(one) + exits_with_42)) &&
           runs(one, two.as_pid_1(with_own_backend(one) + exits_with_42));
  });
}

TEST_CASE("it goes on where nothing more can be made") {
  if (no_pid_1() || test::no_places()) return;
  compare("reaps, and says so, while the pid limit is used up", {"uvreap init", "tini"},
          [](const contender& one) {
            if (!one.warns) return false;
            test::pid_limit twenty(20);
            supervised run(twenty.as_pid_1(one.plainly(*one.warns, probe({"refill", "100"}))));
            return run.end() == 0 && run.errors().find("eaped") != std::string::npos;
          });
}

TEST_CASE("a command that cannot be run is told apart as shells do") {
  if (no_pid_1()) return;
  compare("exits with 127 if there is no such command, 126 if it is not executable", {"uvreap init", "tini"},
          [](const contender& one) {
            return end_as_pid_1(one, {"no-such-command"}) == 127 && end_as_pid_1(one, {"/etc/passwd"}) == 126;
          });
}

TEST_CASE("standard input and output are the child's") {
  if (no_pid_1()) return;
  compare("leaves standard input and output to its child", all, [](const contender& one) {
    supervised run(one.as_pid_1({}, {"cat"}), {.input = "a line\n"});
    return run.end() == 0 && run.output() == "a line\n";
  });
}

TEST_CASE("the usual signals are handed on") {
  if (no_pid_1()) return;
  compare("hands on HUP, INT, QUIT, TERM, USR1, USR2, WINCH", all, [](const contender& one) {
    return hands_on(one, {"1", "2", "3", "15", "10", "12", "28"});
  });
}

TEST_CASE("the less usual signals are handed on") {
  if (no_pid_1()) return;
  compare("hands on real-time signals", all, [](const contender& one) {
    return hands_on(one, {"34", "50", "64"});
  });
  compare("hands on those that it would get for faults of its own (SEGV, ABRT, ...)",
          {"uvreap init", "dumb-init"}, [](const contender& one) {
            return hands_on(one, {"4", "5", "6", "7", "8", "11", "31"});
          });
  compare("hands on TSTP, TTIN, TTOU as they are", {"uvreap init"}, [](const contender& one) {
    return hands_on(one, {"20", "21", "22"});
  });
}

TEST_CASE("SIGTTIN and SIGTTOU do not stop it") {
  compare("is not stopped by TTIN and TTOU itself", {"uvreap init", "tini", "catatonit"},
          [](const contender& one) {
            return end_of(one, one.plainly({}, probe({"unstoppable", ms(one.patience)}))) == 0;
          });
}

TEST_CASE("a signal is not lost if it comes before there is a child") {
  if (no_pid_1()) return;
  // Often, since who loses it loses it in a race, and wins some.
  auto dies_of_it = [](const contender& one, const words& options) {
    words start = {"unshare", "-pf", "--mount-proc", "--kill-child"};
    words run =
        start + probe({"pending", "15"}) + one.plainly(options, probe({"unblocked", ms(one.patience)}));
    for (int times = 0; times < 20; ++times) {
      if (end_of(one, run) != 128 + SIGTERM) return false;
    }
    return true;
  };
  compare("loses no signal that comes before its child is there", {"uvreap init", "tini", "catatonit"},
          [dies_of_it](const contender& one) { return dies_of_it(one, *one.to_child); });
  compare("nor if its signals go to the group", {"uvreap init"},
          [dies_of_it](const contender& one) { return dies_of_it(one, *one.to_group); });
}

TEST_CASE("who gets a signal can be chosen") {
  if (no_pid_1()) return;
  auto told = [](const contender& one, const std::optional<words>& options) {
    if (!options) return std::string();
    supervised run(one.as_pid_1(*options, probe({"group", ms(one.patience)})));
    CHECK(run.end() == 0);
    return run.output();
  };
  compare("hands signals on to its child's process group, if asked", all,
          [told](const contender& one) { return told(one, one.to_group) == "child group\n"; });
  compare("hands signals on to its child alone, if asked", all, [told](contender one) {
    one.patience = 300ms;  // here the group is to get nothing
    return told(one, one.to_child) == "child \n";
  });
}

TEST_CASE("a signal can be handed on as another") {
  if (no_pid_1()) return;
  compare("hands a signal on as another, or not at all, if asked", {"uvreap init", "dumb-init"},
          [](const contender& one) {
            if (!one.rewrite) return false;
            words options = {*one.rewrite, "15:3", *one.rewrite, "1:0"};
            auto run = [&](const words& what) { return end_of(one, one.as_pid_1(options, probe(what))); };
            return run({"as", "15", "3", ms(one.patience)}) == 0 && run({"as", "1", "1", "300"}) == 1;
          });
}

TEST_CASE("the child begins with the signals that it would have without it") {
  compare("gives its child an empty signal mask, if its own was empty", {"uvreap init", "tini", "dumb-init"},
          [](const contender& one) { return leaves_alone(one, "SigBlk", {}); });
  compare("leaves blocked signals blocked for its child", {"uvreap init", "tini"}, [](const contender& one) {
    return leaves_alone(one, "SigBlk", probe({"block", "15"}));
  });
  compare("leaves ignored signals ignored for its child", {"uvreap init", "tini", "catatonit"},
          [](const contender& one) {
            return leaves_alone(one, "SigIgn", probe({"ignore", "2"})) &&
                   leaves_alone(one, "SigIgn", probe({"ignore", "13"}));
          });
}

TEST_CASE("orphans are reaped") {
  if (no_pid_1()) return;
  compare("reaps orphans as PID 1, hundreds at a time", all, [](const contender& one) {
    return end_as_pid_1(one, probe({"orphans", "400"})) == 0;
  });
  compare("reaps orphans as a subreaper, if it is not PID 1", {"uvreap init", "tini", "catatonit"},
          [](const contender& one) {
            words options = one.as_subreaper.value_or(words{});
            return end_of(one, one.plainly(options, probe({"adopted"}))) == 0 &&
                   end_of(one, one.plainly(options, probe({"orphans", "400"}))) == 0;
          });
  compare("says of each orphan that it was reaped, if asked", {"uvreap init", "tini"},
          [](const contender& one) {
            if (!one.warns) return false;
            supervised run(one.as_pid_1(*one.warns, probe({"orphans", "2"})));
            return run.end() == 0 && run.errors().find("eaped") != std::string::npos;
          });
}

TEST_CASE("a stopped child goes on with the SIGCONT that it hands on") {
  compare("goes on with a child that was stopped, at CONT", all,
          [](const contender& one) { return end_of(one, one.plainly({}, probe({"stopped"}))) == 0; });
}

TEST_CASE("what is left at the end may end well, and ends") {
  if (no_pid_1()) return;
  compare("gives what is left at the end TERM and time to end", {"uvreap init"}, [](const contender& one) {
    supervised run(one.as_pid_1({}, probe({"leave", "polite"})));
    return run.end() == 0 && run.output() == "ended well\n";
  });
  compare("sends TERM to the rest of its child's group, if it is not PID 1", {"uvreap init", "dumb-init"},
          [](const contender& one) {
            words options = one.as_subreaper.value_or(words{});
            supervised run(one.plainly(options, probe({"leave", "polite"})));
            return run.end() == 0 && run.says("ended well", one.patience);
          });
  compare("leaves no process behind as a subreaper", {"uvreap init"}, [](const contender& one) {
    words options = one.as_subreaper.value_or(words{});
    if (one.name == "uvreap init") options = options + words{"--grace", "0.5"};
    supervised run(one.plainly(options, probe({"leave", "stubborn", "apart"})));
    return run.end() == 0 && run.left() == 0;
  });
}

TEST_CASE("the child has the terminal") {
  compare("gives its child the terminal", all, [](const contender& one) {
    return supervised(one.plainly({}, probe({"foreground"})), {.on_terminal = true}).end() == 0;
  });
  compare("leaves the terminal to its caller at the end", {"uvreap init", "dumb-init"},
          [](const contender& one) {
            words run = probe({"script"}) + one.plainly({}, {"true"});
            return supervised(run, {.on_terminal = true}).end() == 0;
          });
}

TEST_CASE("Ctrl-Z stops the shell's job, and fg goes on with it; without a shell it does nothing") {
  compare("under a shell: Ctrl-Z stops the job, and fg goes on with it", {"uvreap init", "dumb-init"},
          [](const contender& one) {
            supervised run(probe({"shell"}) + one.plainly({}, probe({"echo"})), {.on_terminal = true});
            REQUIRE(run.says("ready"));
            run.type("\032");
            if (!run.says("[stopped]", one.patience)) return false;
            run.type("fg\n");
            run.type("on\n");
            return run.says("got <on>", one.patience);
          });
  compare("without a shell: Ctrl-Z does not stop what no shell can continue",
          {"uvreap init", "dumb-init", "catatonit"}, [](const contender& one) {
            supervised run(one.plainly({}, probe({"echo"})), {.on_terminal = true});
            REQUIRE(run.says("ready"));
            run.type("\032");
            run.type("on\n");
            return run.says("got <on>", one.patience);
          });
}

TEST_CASE("the table of docs/init.md has these rows and no other") {
  CHECK(test::rows_of_page() == test::rows_compared());
}
