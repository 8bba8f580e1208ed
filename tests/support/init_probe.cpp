// What the tests of uvreap init and its like run under them: a child that asks its parent for something, and
// exits with 0 if it got it. Parents of it set the stage: a signal that is pending already, a shell.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "proc.hpp"

namespace {

using test::children_of;
using test::state_of;

constexpr int no = 1;
constexpr int bad_use = 99;

sigset_t set_of(int signum) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signum);
  return set;
}

bool comes(int signum, int patience_ms) {
  sigset_t set = set_of(signum);
  timespec patience{patience_ms / 1000, patience_ms % 1000 * 1'000'000L};
  int result = -1;
  do {
    result = ::sigtimedwait(&set, nullptr, &patience);
  } while (result < 0 && errno == EINTR);
  return result == signum;
}

void block_all() {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

template <class Condition>
bool wait_until(Condition holds, int patience_ms) {
  for (int waited = 0; waited < patience_ms; waited += 2) {
    if (holds()) return true;
    ::usleep(2000);
  }
  return holds();
}

int become(char** words) {
  ::execvp(words[0], words);
  return bad_use;
}

// ---- asking the parent for signals ---------------------------------------------------------------

// back MS SIG...: each that goes to the parent comes back.
int back(char** words) {
  int patience = std::atoi(*words++);
  block_all();
  for (; *words != nullptr; ++words) {
    int signum = std::atoi(*words);
    ::kill(::getppid(), signum);
    if (comes(signum, patience)) continue;
    std::cout << "missing " << signum << std::endl;
    return no;
  }
  return 0;
}

// as FROM TO MS: the one comes back as the other.
int as(char** words) {
  block_all();
  ::kill(::getppid(), std::atoi(words[0]));
  return comes(std::atoi(words[1]), std::atoi(words[2])) ? 0 : no;
}

// group MS: says who of this process and its own child gets a signal to the parent.
int group(char** words) {
  block_all();
  int ready[2];
  if (::pipe(ready) != 0) return bad_use;
  pid_t other = ::fork();
  if (other == 0) {
    if (::write(ready[1], "", 1) != 1) ::_exit(bad_use);
    ::_exit(comes(SIGUSR1, std::atoi(words[0])) ? 0 : no);
  }
  char byte = 0;
  if (::read(ready[0], &byte, 1) != 1) return bad_use;
  ::kill(::getppid(), SIGUSR1);
  if (comes(SIGUSR1, 20'000)) std::cout << "child ";
  int word = 0;
  ::waitpid(other, &word, 0);
  if (word == 0) std::cout << "group";
  std::cout << std::endl;
  return 0;
}

// unblocked MS: dies of what is there or comes.
int unblocked(char** words) {
  for (int signum = 1; signum < NSIG; ++signum) ::signal(signum, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::usleep(static_cast<useconds_t>(std::atoi(words[0])) * 1000);
  return no;
}

// stopped: a stop by itself, and the SIGCONT that somebody sends to the parent.
int stopped(char**) {
  pid_t self = ::getpid();
  pid_t parent = ::getppid();
  if (::fork() == 0) {
    bool is_stopped = wait_until([self] { return state_of(self) == 'T'; }, 20'000);
    ::kill(parent, is_stopped ? SIGCONT : SIGKILL);
    ::_exit(0);
  }
  ::raise(SIGSTOP);
  ::wait(nullptr);
  return 0;
}

// stopped_by SIG: that signal to the parent stops this process, and a SIGCONT there lets it go on.
int stopped_by(char** words) {
  pid_t self = ::getpid();
  pid_t parent = ::getppid();
  int signum = std::atoi(words[0]);
  if (::fork() == 0) {
    ::setsid();  // or it would be stopped, too
    ::kill(parent, signum);
    bool is_stopped = wait_until([self] { return state_of(self) == 'T'; }, 20'000);
    if (is_stopped) std::cout << "stopped" << std::endl;
    ::kill(parent, is_stopped ? SIGCONT : SIGKILL);
    ::_exit(0);
  }
  ::wait(nullptr);
  return 0;
}

// unstoppable: the parent survives SIGTTIN and SIGTTOU, and still hands on.
int unstoppable(char** words) {
  block_all();
  ::kill(::getppid(), SIGTTIN);
  ::kill(::getppid(), SIGTTOU);
  ::kill(::getppid(), SIGUSR1);
  if (comes(SIGUSR1, std::atoi(words[0])) && state_of(::getppid()) != 'T') return 0;
  ::kill(::getppid(), SIGCONT);
  return no;
}

// ---- children of other parents --------------------------------------------------------------------

void chain(int count) {
  for (int left = count; left > 0; --left) {
    if (::fork() != 0) ::_exit(0);  // the parent ends, its child goes on
  }
  ::_exit(0);
}

// orphans COUNT: half of them a chain, half at once; none of them stays a zombie.
int orphans(char** words) {
  int count = std::atoi(words[0]) / 2;
  if (::fork() == 0) chain(count);
  if (::fork() == 0) {
    for (int left = count; left > 0; --left) {
      if (::fork() == 0) ::_exit(left % 2);
    }
    ::_exit(0);
  }
  while (::wait(nullptr) > 0) {
  }
  pid_t self = ::getpid();
  auto only_self = [self] { return children_of(::getppid()) == std::set<pid_t>{self}; };
  return wait_until(only_self, 20'000) ? 0 : no;
}

bool is_gone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

// An orphan that ends at once; its number, or -1: it could not be made.
pid_t make_orphan() {
  int told[2];
  if (::pipe(told) != 0) return -1;
  pid_t middle = ::fork();
  if (middle == 0) {
    pid_t orphan = ::fork();
    if (orphan == 0) ::_exit(0);
    ::_exit(::write(told[1], &orphan, sizeof orphan) == sizeof orphan ? 0 : no);
  }
  pid_t orphan = -1;
  if (middle > 0 && ::read(told[0], &orphan, sizeof orphan) != sizeof orphan) orphan = -1;
  ::waitpid(middle, nullptr, 0);
  ::close(told[0]);
  ::close(told[1]);
  return orphan;
}

// gone COUNT: of so many orphans none stays. Needs no /proc.
int gone(char** words) {
  std::set<pid_t> all;
  for (int left = std::atoi(words[0]); left > 0; --left) {
    pid_t orphan = make_orphan();
    if (orphan < 0) return bad_use;
    all.insert(orphan);
  }
  auto are_gone = [&all] { return std::all_of(all.begin(), all.end(), is_gone); };
  return wait_until(are_gone, 20'000) ? 0 : no;
}

// one_by_one COUNT: so many orphans, without a pause; one that cannot be made is what fails.
int one_by_one(char** words) {
  for (int left = std::atoi(words[0]); left > 0; --left) {
    if (make_orphan() < 0) return no;
  }
  return 0;
}

// An orphan that lives on; 0: no process can be made.
pid_t make_lasting_orphan() {
  int told[2];
  if (::pipe(told) != 0) return 0;
  pid_t middle = ::fork();
  if (middle == 0) {
    pid_t orphan = ::fork();
    while (orphan == 0) ::pause();
    ::_exit(::write(told[1], &orphan, sizeof orphan) == sizeof orphan ? 0 : no);
  }
  pid_t orphan = 0;
  if (middle > 0 && ::read(told[0], &orphan, sizeof orphan) != sizeof orphan) orphan = 0;
  ::waitpid(middle, nullptr, 0);
  ::close(told[0]);
  ::close(told[1]);
  return orphan > 0 ? orphan : 0;
}

std::vector<pid_t> fill_up() {
  std::vector<pid_t> all;
  while (pid_t orphan = make_lasting_orphan()) all.push_back(orphan);
  return all;
}

// fill: orphans until no process can be made. They live on.
int fill(char**) { return fill_up().empty() ? no : 0; }

// refill TIMES: the same, and then one ends and another one is made, each time as soon as there is room.
int refill(char** words) {
  std::vector<pid_t> all = fill_up();
  if (all.empty()) return bad_use;
  for (int left = std::atoi(words[0]); left > 0; --left) {
    ::kill(all.back(), SIGKILL);
    all.pop_back();
    auto makes_one = [&all] {
      pid_t orphan = make_lasting_orphan();
      if (orphan != 0) all.push_back(orphan);
      return orphan != 0;
    };
    if (!wait_until(makes_one, 20'000)) return no;
  }
  return 0;
}

// adopted: an orphan's new parent is ours.
int adopted(char**) {
  pid_t parent = ::getppid();
  int answer[2];
  if (::pipe(answer) != 0) return bad_use;
  pid_t middle = ::fork();
  if (middle == 0) {
    pid_t before = ::getpid();
    if (::fork() != 0) ::_exit(0);
    wait_until([before] { return ::getppid() != before; }, 20'000);
    char is_ours = ::getppid() == parent ? 1 : 0;
    ::_exit(::write(answer[1], &is_ours, 1) == 1 ? 0 : no);
  }
  char is_ours = 0;
  if (::read(answer[0], &is_ours, 1) != 1) return bad_use;
  ::waitpid(middle, nullptr, 0);
  return is_ours == 1 ? 0 : no;
}

void leave_behind(const std::string& how) {
  if (how == "polite") {
    if (!comes(SIGTERM, 60'000)) ::_exit(no);
    ::usleep(200'000);
    std::cout << "ended well" << std::endl;
    ::_exit(0);
  }
  sigset_t none;
  sigemptyset(&none);
  if (how == "stubborn") ::signal(SIGTERM, SIG_IGN);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (how == "stopped") ::raise(SIGSTOP);
  for (;;) ::pause();
}

// leave HOW...: goes, and leaves one of each kind: polite takes its time, stubborn does not hear SIGTERM,
// stopped is that, deep is polite and below a stubborn one, apart is stubborn and in a session of its own.
int leave(char** words) {
  block_all();
  int ready[2];
  if (::pipe(ready) != 0) return bad_use;
  int count = 0;
  for (; *words != nullptr; ++words) {
    std::string how = *words;
    ++count;
    if (::fork() != 0) continue;
    if (how == "apart") ::setsid();
    bool is_upper = how == "deep" && ::fork() != 0;
    if (!is_upper && ::write(ready[1], "", 1) != 1) ::_exit(bad_use);
    if (how == "deep") how = is_upper ? "stubborn" : "polite";
    leave_behind(how == "apart" ? "stubborn" : how);
  }
  for (char byte = 0; count > 0; --count) {
    if (::read(ready[0], &byte, 1) != 1) return bad_use;
  }
  return 0;
}

// ---- the stage --------------------------------------------------------------------------------------

// pending SIG CMD...: the command begins with the signal blocked and waiting.
int pending(char** words) {
  sigset_t set = set_of(std::atoi(words[0]));
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::raise(std::atoi(words[0]));
  return become(words + 1);
}

// block SIG CMD..., ignore SIG CMD...
int block(char** words) {
  sigset_t set = set_of(std::atoi(words[0]));
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return become(words + 1);
}

int ignore(char** words) {
  ::signal(std::atoi(words[0]), SIG_IGN);
  return become(words + 1);
}

// shell CMD...: a job in the foreground. Says when it is stopped, and goes on with it at a line.
int shell(char** words) {
  ::signal(SIGTTOU, SIG_IGN);
  pid_t job = ::fork();
  if (job == 0) {
    ::setpgid(0, 0);
    ::tcsetpgrp(STDIN_FILENO, ::getpid());
    ::signal(SIGTTOU, SIG_DFL);
    ::_exit(become(words));
  }
  ::setpgid(job, job);
  int word = 0;
  while (::waitpid(job, &word, WUNTRACED) == job && WIFSTOPPED(word)) {
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
    std::cout << "[stopped]" << std::endl;
    std::string line;
    std::getline(std::cin, line);
    ::tcsetpgrp(STDIN_FILENO, job);
    ::kill(-job, SIGCONT);
  }
  ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  return WIFEXITED(word) ? WEXITSTATUS(word) : 128 + WTERMSIG(word);
}

// script CMD...: what follows it may read the terminal.
int script(char** words) {
  pid_t job = ::fork();
  if (job == 0) ::_exit(become(words));
  ::waitpid(job, nullptr, 0);
  return ::tcgetpgrp(STDIN_FILENO) == ::getpgrp() ? 0 : no;
}

// foreground: the terminal is this process's. echo: what is typed comes here.
int foreground(char**) { return ::tcgetpgrp(STDIN_FILENO) == ::getpgrp() ? 0 : no; }

int echo(char**) {
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line) && line != "end";) {
    std::cout << "got <" << line << '>' << std::endl;
  }
  return 0;
}

// late_reader blocking|nonblocking CMD...: its stderr is a pipe that is full already, and read when its
// stdout has ended. Prints what came behind that.
int late_reader(char** words) {
  int out[2];
  int err[2];
  if (::pipe(out) != 0 || ::pipe(err) != 0) return bad_use;
  ::fcntl(err[1], F_SETFL, O_NONBLOCK);
  while (::write(err[1], ".", 1) == 1) {
  }
  if (words[0] == std::string("blocking")) ::fcntl(err[1], F_SETFL, 0);
  pid_t command = ::fork();
  if (command == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    for (int one : {out[0], out[1], err[0], err[1]}) ::close(one);
    ::_exit(become(words + 1));
  }
  ::close(out[1]);
  ::close(err[1]);
  char part[4096];
  while (::read(out[0], part, sizeof part) > 0) {
  }
  std::string all;
  for (ssize_t length = 0; (length = ::read(err[0], part, sizeof part)) > 0;) {
    all.append(part, static_cast<std::size_t>(length));
  }
  std::cout << all.substr(all.find_first_not_of('.') % (all.size() + 1)) << std::flush;
  int word = 0;
  ::waitpid(command, &word, 0);
  return WIFEXITED(word) ? WEXITSTATUS(word) : 128 + WTERMSIG(word);
}

struct verb {
  const char* name;
  int (*run)(char** words);
};

constexpr verb verbs[] = {
    {"back", back},       {"as", as},
    {"group", group},     {"unblocked", unblocked},
    {"stopped", stopped}, {"stopped_by", stopped_by},
    {"orphans", orphans}, {"unstoppable", unstoppable},
    {"gone", gone},       {"one_by_one", one_by_one},
    {"fill", fill},       {"refill", refill},
    {"adopted", adopted}, {"leave", leave},
    {"pending", pending}, {"block", block},
    {"ignore", ignore},   {"shell", shell},
    {"script", script},   {"foreground", foreground},
    {"echo", echo},       {"late_reader", late_reader},
};

}  // namespace

int main(int argc, char** argv) {
  for (const verb& one : verbs) {
    if (argc > 1 && std::strcmp(argv[1], one.name) == 0) return one.run(argv + 2);
  }
  return bad_use;
}
