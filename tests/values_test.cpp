// What a wait word means, in questions, in text and in comparisons. Words are written down as the kernel
// builds them; no child is made here.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "support/stage.hpp"
#include "uvreap/child_exit.hpp"
#include "uvreap/process.hpp"

using uvreap::child_change;
using uvreap::child_exit;
using uvreap::notice;
using uvreap::resource_usage;
using uvreap::wait_status;

namespace {

constexpr int core_bit = 0x80;
constexpr int continued_word = 0xffff;
constexpr int stopped_by(int signum) { return signum << 8 | 0x7f; }

// Every question at once: a word that answers one rightly must not answer another as well.
struct answers {
  bool exited = false;
  bool signaled = false;
  bool core_dumped = false;
  bool stopped = false;
  bool continued = false;
  bool success = false;
  bool ended = false;
  int exit_code = -1;
  int term_signal = 0;
  int stop_signal = 0;

  friend bool operator==(const answers&, const answers&) = default;
};

answers answers_of(wait_status status) {
  return {.exited = status.exited(),
          .signaled = status.signaled(),
          .core_dumped = status.core_dumped(),
          .stopped = status.stopped(),
          .continued = status.continued(),
          .success = status.success(),
          .ended = status.ended(),
          .exit_code = status.exit_code(),
          .term_signal = status.term_signal(),
          .stop_signal = status.stop_signal()};
}

template <class Value>
std::string printed(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

resource_usage some_usage() {
  return {.user_time = std::chrono::microseconds(1),
          .system_time = std::chrono::microseconds(2),
          .max_rss_bytes = 3072,
          .minor_faults = 4,
          .major_faults = 5,
          .voluntary_switches = 6,
          .involuntary_switches = 7,
          .blocks_in = 8,
          .blocks_out = 9};
}

const std::string usage_in_words =
    "user 1 us, system 2 us, max RSS 3 KiB, faults 4+5, switches 6+7, blocks 8+9";

// Each change to a copy must make it unequal: a field that a comparison leaves out is found by name here.
template <class Value>
void check_every_field_counts(const Value& value, const std::vector<std::function<void(Value&)>>& changes) {
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CAPTURE(i);
    Value other = value;
    CHECK(other == value);
    changes[i](other);
    CHECK(other != value);
  }
}

}  // namespace

TEST_CASE("an empty status answers no to every question") {
  CHECK(answers_of(wait_status{}) == answers{});
  CHECK(wait_status{}.raw() == -1);
  CHECK_FALSE(static_cast<bool>(wait_status{}));
  CHECK(wait_status{}.text() == "unknown");
  CHECK(wait_status{} == wait_status{-1});
}

TEST_CASE("a status of zero is a success and not empty") {
  CHECK(answers_of(wait_status{0}) ==
        answers{.exited = true, .success = true, .ended = true, .exit_code = 0});
  CHECK(static_cast<bool>(wait_status{0}));
  CHECK(wait_status{0} != wait_status{});
  CHECK(wait_status{0}.text() == "exited with 0");
}

TEST_CASE("every exit code is decoded as itself") {
  for (int code = 1; code < 256; ++code) {
    CAPTURE(code);
    wait_status status(test::exited_with(code));
    CHECK(answers_of(status) == answers{.exited = true, .ended = true, .exit_code = code});
    CHECK(status.text() == "exited with " + std::to_string(code));
    CHECK(status.raw() == code << 8);
  }
}

TEST_CASE("every signal up to 64 is a killing one, with and without a core") {
  for (int signum = 1; signum <= 64; ++signum) {
    CAPTURE(signum);
    CHECK(answers_of(wait_status(test::killed_by(signum))) ==
          answers{.signaled = true, .ended = true, .term_signal = signum});
    CHECK(answers_of(wait_status(test::killed_by(signum) | core_bit)) ==
          answers{.signaled = true, .core_dumped = true, .ended = true, .term_signal = signum});
  }
}

TEST_CASE("stops and continues are changes and no end") {
  for (int signum : {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    CAPTURE(signum);
    CHECK(answers_of(wait_status(stopped_by(signum))) == answers{.stopped = true, .stop_signal = signum});
  }
  CHECK(answers_of(wait_status(continued_word)) == answers{.continued = true});

  // A tracer's stop carries its event above the signal (ptrace(2)); the whole word is kept.
  constexpr int traced = 3 << 16 | (SIGTRAP << 8) | 0x7f;
  CHECK(answers_of(wait_status(traced)) == answers{.stopped = true, .stop_signal = SIGTRAP});
  CHECK(wait_status(traced).raw() == traced);
}

TEST_CASE("a status is printed as a sentence's end") {
  CHECK(printed(wait_status{}) == "unknown");
  CHECK(printed(wait_status(test::exited_with(3))) == "exited with 3");
  CHECK(printed(wait_status(test::killed_by(SIGKILL))) == "killed by signal 9 (SIGKILL)");
  CHECK(printed(wait_status(test::killed_by(SIGSEGV) | core_bit)) ==
        "killed by signal 11 (SIGSEGV), core dumped");
  CHECK(printed(wait_status(test::killed_by(64))) == "killed by signal 64");  // real-time ones have no name
  CHECK(printed(wait_status(stopped_by(SIGSTOP))) ==
        "stopped by signal " + std::to_string(SIGSTOP) + " (SIGSTOP)");
  CHECK(printed(wait_status(continued_word)) == "continued");
  // Neither an end nor a change, but not empty either: it has no other word for itself.
  CHECK(printed(wait_status(0xff)) == "unknown");
}

TEST_CASE("two statuses are equal when their words are") {
  CHECK(wait_status(test::exited_with(3)) == wait_status(test::exited_with(3)));
  CHECK(wait_status(test::exited_with(3)) != wait_status(test::exited_with(4)));
  CHECK(wait_status(test::killed_by(6)) != wait_status(test::killed_by(6) | core_bit));
  CHECK(wait_status(test::exited_with(9)) != wait_status(test::killed_by(9)));
}

TEST_CASE("the kernel's resource usage is taken over field by field, sizes in bytes") {
  ::rusage raw{};
  raw.ru_utime = {.tv_sec = 2, .tv_usec = 345678};
  raw.ru_stime = {.tv_sec = 1, .tv_usec = 999999};
  raw.ru_maxrss = 3'000'000;  // KiB: more bytes than 32 bits hold
  raw.ru_minflt = 11;
  raw.ru_majflt = 12;
  raw.ru_inblock = 13;
  raw.ru_oublock = 14;
  raw.ru_nvcsw = 15;
  raw.ru_nivcsw = 16;
  resource_usage usage = resource_usage::from(raw);
  CHECK(usage == resource_usage{.user_time = std::chrono::microseconds(2'345'678),
                                .system_time = std::chrono::microseconds(1'999'999),
                                .max_rss_bytes = 3'072'000'000,
                                .minor_faults = 11,
                                .major_faults = 12,
                                .voluntary_switches = 15,
                                .involuntary_switches = 16,
                                .blocks_in = 13,
                                .blocks_out = 14});
  CHECK(resource_usage::from(::rusage{}) == resource_usage{});
}

TEST_CASE("a resource usage is printed with its units and compared by every field") {
  CHECK(printed(some_usage()) == usage_in_words);
  using usage = resource_usage;
  check_every_field_counts<usage>(
      some_usage(), {[](usage& it) { ++it.user_time; }, [](usage& it) { ++it.system_time; },
                     [](usage& it) { ++it.max_rss_bytes; }, [](usage& it) { ++it.minor_faults; },
                     [](usage& it) { ++it.major_faults; }, [](usage& it) { ++it.voluntary_switches; },
                     [](usage& it) { ++it.involuntary_switches; }, [](usage& it) { ++it.blocks_in; },
                     [](usage& it) { ++it.blocks_out; }});
}

TEST_CASE("an exit that nobody filled in is empty") {
  child_exit exit;
  CHECK(exit.pid == 0);
  CHECK_FALSE(exit.lost);
  CHECK_FALSE(exit.recovered);
  CHECK_FALSE(exit.timed_out);
  CHECK(exit.status == wait_status{});
  CHECK(exit.usage == resource_usage{});
}

TEST_CASE("an exit is printed in one line, and a lost one claims no status") {
  child_exit exit{.pid = 7, .status = wait_status(test::exited_with(3)), .usage = some_usage()};
  CHECK(printed(exit) == "pid 7 exited with 3 (" + usage_in_words + "; noticed by sigchld)");
  exit.timed_out = true;
  exit.noticed_by = notice::backend;
  CHECK(printed(exit) == "pid 7 exited with 3, timed out (" + usage_in_words + "; noticed by backend)");

  CHECK(printed(child_exit{.pid = 7, .lost = true, .noticed_by = notice::poller}) ==
        "pid 7 lost: somebody else took its status (noticed by poller)");
  child_exit unwatched{.pid = -1, .lost = true, .noticed_by = notice::already};
  unwatched.error = UV_EINVAL;
  CHECK(printed(unwatched) == "pid -1 not watched: invalid argument");
  CHECK(printed(child_exit{.pid = 7,
                           .recovered = true,
                           .status = wait_status(test::killed_by(SIGTERM)),
                           .noticed_by = notice::already}) ==
        "pid 7 killed by signal 15 (SIGTERM) (recovered, noticed by already)");
}

TEST_CASE("exits are compared by every field") {
  check_every_field_counts<child_exit>(
      child_exit{.pid = 7, .status = wait_status(test::exited_with(3)), .usage = some_usage()},
      {[](child_exit& it) { ++it.pid; }, [](child_exit& it) { it.lost = true; },
       [](child_exit& it) { it.recovered = true; }, [](child_exit& it) { it.timed_out = true; },
       [](child_exit& it) { it.status = wait_status{}; }, [](child_exit& it) { ++it.usage.minor_faults; },
       [](child_exit& it) { it.noticed_by = notice::poller; }});
}

TEST_CASE("a change is printed and compared") {
  child_change change{.pid = 7, .status = wait_status(continued_word)};
  CHECK(printed(change) == "pid 7 continued");
  CHECK(printed(child_change{.pid = 7}) == "pid 7 unknown");
  check_every_field_counts<child_change>(
      change, {[](child_change& it) { ++it.pid; }, [](child_change& it) { it.status = wait_status{}; }});
}

TEST_CASE("a wait result is compared by every field") {
  using result = uvreap::wait_result;
  check_every_field_counts<result>(
      result{.pid = 7, .status = wait_status(0)},
      {[](result& it) { ++it.pid; }, [](result& it) { it.error = UV_ESRCH; },
       [](result& it) { it.status = wait_status{}; }, [](result& it) { ++it.usage.blocks_in; }});
}

TEST_CASE("scopes are equal when they select the same children in the same words") {
  using uvreap::scope;
  CHECK(scope::one(5) == scope::one(5));
  CHECK(scope::one(5) != scope::one(6));
  CHECK(scope::one(5) != scope::in_group(5));
  CHECK(scope::any() != scope::in_own_group());
  CHECK(scope::watched() != scope::in_own_group());
}

// Values can be kept, sent and copied with no thought of ownership, and asked in constant expressions.
static_assert(std::is_nothrow_move_constructible_v<child_exit>);
static_assert(std::is_trivially_copyable_v<child_change>);
static_assert(!wait_status{} && wait_status{0} && wait_status{0x300}.raw() == 0x300);
