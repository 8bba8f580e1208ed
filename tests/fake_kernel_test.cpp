// The fake kernel answers as the real one does: by hand where it matters most, and by the same scripts on
// both.
#include "support/fake_kernel.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <ostream>
#include <random>
#include <vector>

#include "os/descriptor.hpp"
#include "os/syscalls.hpp"
#include "support/children.hpp"

using test::fake_call;
using test::fake_kernel;

TEST_CASE("a number that is nobody's child says ECHILD") {
  fake_kernel kernel;
  CHECK(uvreap::sys::wait4(4711, nullptr, WNOHANG, nullptr) == -1);
  CHECK(errno == ECHILD);
  kernel.born_as(4711);
  CHECK(uvreap::sys::wait4(4711, nullptr, WNOHANG, nullptr) == 0);
}

TEST_CASE("a status can be taken once, and usage with it") {
  fake_kernel kernel;
  pid_t pid = kernel.born(test::owner::foreign);
  ::rusage spent{};
  spent.ru_maxrss = 42;
  kernel.ends(pid, 0x300, spent);
  int word = 0;
  ::rusage usage{};
  CHECK(uvreap::sys::wait4(pid, &word, WNOHANG | __WALL, &usage) == pid);
  CHECK(word == 0x300);
  CHECK(usage.ru_maxrss == 42);
  CHECK(kernel.foreign_taken() == 1);
  CHECK(uvreap::sys::wait4(pid, &word, WNOHANG | __WALL, &usage) == -1);
  CHECK(errno == ECHILD);
  CHECK_FALSE(kernel.stolen(pid));
}

TEST_CASE("a plan answers the k-th call, so many times, and only for its number") {
  fake_kernel kernel;
  pid_t pid = kernel.born();
  kernel.plan({.where = fake_call::wait4, .error = EINTR, .pid = pid, .from = 2, .times = 2});
  auto ask = [](pid_t whom) {
    errno = 0;
    return uvreap::sys::wait4(whom, nullptr, WNOHANG, nullptr) == 0 ? 0 : errno;
  };
  pid_t other = kernel.born();
  std::vector<int> answers;
  for (int i = 0; i < 4; ++i) {
    CHECK(ask(other) == 0);
    answers.push_back(ask(pid));
  }
  CHECK(answers == std::vector<int>{0, EINTR, EINTR, 0});
  CHECK(kernel.calls(fake_call::wait4) == 8);
}

TEST_CASE("a traced child's end and a silent child's are hidden as the kernel hides them") {
  fake_kernel kernel;
  pid_t pid = kernel.born();
  kernel.ends(pid, 0);
  kernel.traced(pid, true);
  siginfo_t info{};
  CHECK(uvreap::sys::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
  CHECK(info.si_pid == 0);
  CHECK(uvreap::sys::wait4(pid, nullptr, WNOHANG | __WALL, nullptr) == 0);
  kernel.traced(pid, false);
  kernel.silent(pid);
  CHECK(uvreap::sys::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1);
  CHECK(uvreap::sys::wait4(pid, nullptr, WNOHANG, nullptr) == -1);
  CHECK(uvreap::sys::wait4(pid, nullptr, WNOHANG | __WALL, nullptr) == pid);
}

TEST_CASE(
    "a younger process with a number has another birth, and a pidfd of the older one does not speak of it") {
  fake_kernel kernel;
  kernel.has_pidfds = true;
  pid_t pid = kernel.born();
  uvreap::descriptor elder(uvreap::sys::pidfd_open(pid));
  std::uint64_t inode = 0, device = 0, ticks = 0;
  REQUIRE(uvreap::sys::inode_of_pidfd(elder.get(), &inode, &device) == 0);
  REQUIRE(uvreap::sys::start_time_of(pid, &ticks) == 0);
  kernel.ends(pid, 0x500);
  CHECK(uvreap::sys::exit_word_of_pidfd(elder.get(), nullptr) == -1);
  REQUIRE(kernel.stolen(pid));
  kernel.born_as(pid);
  uvreap::descriptor younger(uvreap::sys::pidfd_open(pid));
  std::uint64_t other_inode = 0, other_ticks = 0;
  REQUIRE(uvreap::sys::inode_of_pidfd(younger.get(), &other_inode, &device) == 0);
  REQUIRE(uvreap::sys::start_time_of(pid, &other_ticks) == 0);
  CHECK(inode != other_inode);
  CHECK(ticks != other_ticks);
  siginfo_t info{};
  CHECK(uvreap::sys::waitid(P_PIDFD, static_cast<id_t>(elder.get()), &info, WEXITED | WNOHANG) == -1);
  CHECK(errno == ECHILD);
  CHECK(uvreap::sys::waitid(P_PIDFD, static_cast<id_t>(younger.get()), &info, WEXITED | WNOHANG) == 0);
  CHECK(uvreap::sys::pidfd_send_signal(elder.get(), SIGTERM) == -1);
  CHECK(uvreap::sys::pidfd_send_signal(younger.get(), SIGHUP) == 0);
  CHECK(kernel.signals_of(pid) == std::vector<int>{SIGHUP});
  int word = 0;
  kernel.tells_exit_words = true;
  CHECK(uvreap::sys::exit_word_of_pidfd(elder.get(), &word) == 0);
  CHECK(word == 0x500);
}

TEST_CASE(
    "a stop that this process traces is shown to WEXITED, and taken by a wait4 that asks for no stops") {
  fake_kernel kernel;
  pid_t pid = kernel.born();
  kernel.traps(pid, SIGTRAP);
  siginfo_t info{};
  CHECK(uvreap::sys::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0);
  CHECK(info.si_code == CLD_TRAPPED);
  CHECK(kernel.is_trapped(pid));
  int word = 0;
  CHECK(uvreap::sys::wait4(pid, &word, WNOHANG, nullptr) == pid);
  CHECK(WIFSTOPPED(word));
  CHECK_FALSE(kernel.is_trapped(pid));
}

TEST_CASE("a group is signalled by its number and by its leader's pidfd, until it is empty") {
  fake_kernel kernel;
  kernel.has_pidfds = true;
  pid_t leader = kernel.born();
  kernel.leads_group(leader);
  pid_t member = kernel.born_in_group(leader);
  uvreap::descriptor pidfd(uvreap::sys::pidfd_open(leader));
  CHECK(uvreap::sys::kill(-leader, SIGTERM) == 0);
  CHECK(kernel.signals().size() == 2);
  kernel.ends(leader, 0);
  REQUIRE(kernel.stolen(leader));
  CHECK(uvreap::sys::pidfd_signal_group(pidfd.get(), SIGKILL) == 0);
  CHECK(kernel.signals_of(member) == std::vector<int>{SIGTERM, SIGKILL});
  kernel.ends(member, SIGKILL);
  CHECK(uvreap::sys::pidfd_signal_group(pidfd.get(), 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("clocks stand still but for what is asked of them") {
  fake_kernel kernel;
  auto then = uvreap::sys::monotonic_ns();
  auto cpu_then = uvreap::sys::thread_cpu_ns();
  kernel.wait4_costs(std::chrono::nanoseconds(70), std::chrono::nanoseconds(30));
  (void)uvreap::sys::wait4(1, nullptr, WNOHANG, nullptr);
  CHECK(uvreap::sys::monotonic_ns() - then == 70);
  CHECK(uvreap::sys::thread_cpu_ns() - cpu_then == 30);
}

TEST_CASE("without a fake, or where it lets a call through, the real kernel answers") {
  pid_t pid = test::make_child_exiting(5);
  test::wait_until_ended(pid);
  fake_kernel kernel;
  CHECK(uvreap::sys::wait4(pid, nullptr, WNOHANG, nullptr) == -1);  // no child of the fake's
  kernel.let_through(fake_call::wait4);
  int word = 0;
  CHECK(uvreap::sys::wait4(pid, &word, WNOHANG, nullptr) == pid);
  CHECK(word == 0x500);
  CHECK(uvreap::sys::wait4(pid, nullptr, WNOHANG, nullptr) == -1);
  CHECK(errno == ECHILD);
}

namespace {

// One answer, in terms that both kernels share: the child by its number in the script.
struct answer {
  int child = 0;  // -1: error
  int error = 0;
  int word = 0;
  int code = 0;
  friend bool operator==(const answer&, const answer&) = default;
  friend std::ostream& operator<<(std::ostream& out, const answer& a) {
    return out << "child " << a.child << " error " << a.error << " word " << a.word << " code " << a.code;
  }
};

struct step {
  enum kind {
    exit,
    killed,
    stop,
    resume,
    wait,
    wait_any,
    look,
    look_any,
    look_by_pidfd,
    signal_pidfd,
    poll
  } what;
  int child;
  int number;  // code, signal, or options
};

constexpr int crew = 4;

// Real children that obey: they sleep in read(2) and exit with the byte they get.
class real_crew {
 public:
  real_crew() {
    for (auto& one : crew_) {
      REQUIRE(::pipe(one.ends) == 0);
      one.pid = test::make_child([&] {
        unsigned char code = 0;
        while (::read(one.ends[0], &code, 1) != 1) {
        }
        return int{code};
      });
      one.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, one.pid, 0)));
    }
  }
  ~real_crew() {
    test::clean_up_children();
    for (auto& one : crew_) ::close(one.ends[0]), ::close(one.ends[1]);
  }
  real_crew(const real_crew&) = delete;
  real_crew& operator=(const real_crew&) = delete;

  pid_t pid(int child) const { return crew_[child].pid; }
  int pidfd(int child) const { return crew_[child].pidfd.get(); }
  int signal(int child, int signum) const {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd(child), signum, nullptr, 0));
  }
  void exit(int child, int code) {
    auto byte = static_cast<unsigned char>(code);
    REQUIRE(::write(crew_[child].ends[1], &byte, 1) == 1);
    until(child, WEXITED);
  }
  void kill(int child, int signum) { ::kill(pid(child), signum), until(child, WEXITED); }
  void stop(int child) { ::kill(pid(child), SIGSTOP), until(child, WSTOPPED); }
  void resume(int child) { ::kill(pid(child), SIGCONT), until(child, WCONTINUED); }
  static pid_t wait4(pid_t pid, int* word, int options) {
    return test::real::wait4(pid, word, options, nullptr);
  }
  static int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
    return test::real::waitid(type, id, info, options);
  }

 private:
  void until(int child, int what) const {
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(pid(child)), &info, what | WNOWAIT) == 0);
  }
  struct {
    pid_t pid;
    int ends[2];
    uvreap::descriptor pidfd;
  } crew_[crew];
};

class fake_crew {
 public:
  fake_crew() {
    kernel_.has_pidfds = true;
    for (pid_t& pid : pids_) pid = kernel_.born();
    for (int i = 0; i < crew; ++i) pidfds_[i].reset(uvreap::sys::pidfd_open(pids_[i]));
  }
  pid_t pid(int child) const { return pids_[child]; }
  int pidfd(int child) const { return pidfds_[child].get(); }
  int signal(int child, int signum) const { return uvreap::sys::pidfd_send_signal(pidfd(child), signum); }
  void exit(int child, int code) { kernel_.ends(pid(child), code << 8); }
  void kill(int child, int signum) { kernel_.ends(pid(child), signum); }
  void stop(int child) { kernel_.stops(pid(child), SIGSTOP); }
  void resume(int child) { kernel_.continues(pid(child)); }
  static pid_t wait4(pid_t pid, int* word, int options) {
    return uvreap::sys::wait4(pid, word, options, nullptr);
  }
  static int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
    return uvreap::sys::waitid(type, id, info, options);
  }

 private:
  fake_kernel kernel_;
  pid_t pids_[crew];
  uvreap::descriptor pidfds_[crew];
};

template <class Crew>
std::vector<answer> play(const std::vector<step>& script) {
  Crew crew_now;
  auto number_of = [&](pid_t pid) {
    for (int i = 0; i < crew; ++i) {
      if (crew_now.pid(i) == pid) return i + 1;
    }
    return static_cast<int>(pid);
  };
  std::vector<answer> answers;
  for (const step& one : script) {
    answer got;
    errno = 0;
    switch (one.what) {
      case step::exit:
        crew_now.exit(one.child, one.number);
        break;
      case step::killed:
        crew_now.kill(one.child, one.number);
        break;
      case step::stop:
        crew_now.stop(one.child);
        break;
      case step::resume:
        crew_now.resume(one.child);
        break;
      case step::wait:
      case step::wait_any: {
        pid_t whom = one.what == step::wait ? crew_now.pid(one.child) : -1;
        got.child = number_of(Crew::wait4(whom, &got.word, one.number));
        break;
      }
      case step::look:
      case step::look_any:
      case step::look_by_pidfd: {
        siginfo_t info{};
        bool by_pidfd = one.what == step::look_by_pidfd;
        auto id = static_cast<id_t>(by_pidfd ? crew_now.pidfd(one.child) : crew_now.pid(one.child));
        idtype_t type = by_pidfd ? P_PIDFD : one.what == step::look ? P_PID : P_ALL;
        int result = Crew::waitid(type, id, &info, one.number);
        got.child = result == 0 ? number_of(info.si_pid) : -1;
        if (result == 0 && info.si_pid != 0) got.word = info.si_status, got.code = info.si_code;
        break;
      }
      case step::signal_pidfd:
        got.child = crew_now.signal(one.child, 0);
        break;
      case step::poll: {
        pollfd asked{.fd = crew_now.pidfd(one.child), .events = POLLIN, .revents = 0};
        got.code = ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLIN) != 0 ? 1 : 0;
        break;
      }
    }
    got.error = got.child == -1 ? errno : 0;
    answers.push_back(got);
  }
  return answers;
}

// A script that makes sense: nobody is stopped twice or ends twice.
std::vector<step> random_script(std::mt19937& random) {
  auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  enum { living, stopped, ended } now[crew] = {};
  std::vector<step> script;
  for (int i = 0; i < 30; ++i) {
    int child = below(crew);
    int options =
        WNOHANG | (below(2) ? WUNTRACED : 0) | (below(2) ? WCONTINUED : 0) | (below(2) ? __WALL : 0);
    if (below(8) == 0) options |= WNOWAIT;  // which wait4 refuses
    int look = options | (below(4) ? WEXITED : 0) | (below(2) ? WNOWAIT : 0);
    switch (below(11)) {
      case 0:
        if (now[child] == living) script.push_back({step::exit, child, below(256)}), now[child] = ended;
        break;
      case 1:
        if (now[child] != ended) script.push_back({step::killed, child, SIGKILL}), now[child] = ended;
        break;
      case 2:
      case 3:
        if (now[child] == living) {
          script.push_back({step::stop, child, 0}), now[child] = stopped;
        } else if (now[child] == stopped) {
          script.push_back({step::resume, child, 0}), now[child] = living;
        }
        break;
      case 4:
        script.push_back({step::wait, child, options});
        break;
      case 5:
        script.push_back({step::wait_any, child, options});
        break;
      case 6:
        script.push_back({step::look, child, look});
        break;
      case 7:
        script.push_back({step::look_any, child, look});
        break;
      case 8:
        script.push_back({step::look_by_pidfd, child, look});
        break;
      case 9:
        script.push_back({step::signal_pidfd, child, 0});
        break;
      case 10:
        script.push_back({step::poll, child, 0});
        break;
    }
  }
  return script;
}

}  // namespace

TEST_CASE("the same random script gets the same answers from the fake and from the real kernel") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    auto script = random_script(random);
    auto fake = play<fake_crew>(script);
    auto kernel = play<real_crew>(script);
    REQUIRE(fake.size() == kernel.size());
    for (std::size_t i = 0; i < fake.size(); ++i) {
      INFO("seed ", seed, " step ", i, " kind ", static_cast<int>(script[i].what), " child ", script[i].child,
           " number ", script[i].number, " fake: ", fake[i], " kernel: ", kernel[i]);
      REQUIRE(fake[i] == kernel[i]);
    }
  }
}
