#include "orphans.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "stage.hpp"

namespace test {

orphans::orphans(int count, std::chrono::microseconds apart) : count_(count), apart_(apart) {
  void* memory = ::mmap(nullptr, sizeof(slot) * static_cast<std::size_t>(count), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  slots_ = static_cast<slot*>(memory);
}

orphans::~orphans() { ::munmap(slots_, sizeof(slot) * static_cast<std::size_t>(count_)); }

void orphans::end(int slot, bool by_signal) {
  slots_[slot].word = by_signal ? killed_by(SIGTERM) : exited_with(slot);
  slots_[slot].ended_ns = uv_hrtime();
  if (by_signal) {
    ::signal(SIGTERM, SIG_DFL);  // doctest has a handler
    ::raise(SIGTERM);
  }
  ::_exit(slot & 0xff);
}

void orphans::make() {
  pid_t parent = make_child([this] {
    for (int slot = 0; slot < count_; ++slot) {
      slots_[slot].pid = make_child([this, slot]() -> int {
        gate_.wait();
        ::usleep(static_cast<useconds_t>(slot * apart_.count()));
        end(slot, slot % 3 == 2);
      });
    }
    return 0;
  });
  REQUIRE(::waitpid(parent, nullptr, 0) == parent);
}

void orphans::chain_from(int slot) {
  if (slot + 1 < count_) {
    slots_[slot + 1].pid = make_child([this, slot]() -> int { chain_from(slot + 1); });
  }
  end(slot, false);
}

void orphans::make_chain() {
  pid_t parent = make_child([this] {
    slots_[0].pid = make_child([this]() -> int { chain_from(0); });
    return 0;
  });
  REQUIRE(::waitpid(parent, nullptr, 0) == parent);
}

void orphans::wait_until_all_ended() const {
  for (int slot = 0; slot < count_; ++slot) {
    while (slots_[slot].pid == 0) ::usleep(100);  // its parent, of a chain, has not made it yet
    wait_until_ended(slots_[slot].pid);
  }
}

void orphans::check(const std::vector<uvreap::child_exit>& told) const {
  std::map<pid_t, int> words;
  for (const auto& exit : told) {
    CHECK_MESSAGE(words.emplace(exit.pid, exit.status.raw()).second, "told again: ", exit.pid);
    CHECK_FALSE(exit.lost);
  }
  CHECK(words.size() == static_cast<std::size_t>(count_));
  for (int slot = 0; slot < count_; ++slot) {
    auto found = words.find(slots_[slot].pid);
    REQUIRE_MESSAGE(found != words.end(), "never told: slot ", slot);
    CHECK(found->second == slots_[slot].word);
  }
}

uvreap::options any_options(std::chrono::milliseconds grace, std::vector<uvreap::child_exit>* told) {
  uvreap::options options = options_of_this_run();
  options.children = uvreap::scope::any();
  options.unclaimed_grace = grace;
  if (!poller_alone()) options.poll_every = std::chrono::seconds(60);
  if (told != nullptr) {
    options.on_unclaimed = [told](const uvreap::child_exit& exit) { told->push_back(exit); };
  }
  return options;
}

void end_beside_watched(stage& stage, const orphans& orphans, const std::vector<uvreap::child_exit>& told) {
  gate gate;
  std::vector<pid_t> watched;
  std::vector<pid_t> watched_told;
  for (int i = 0; i < 100; ++i) {
    pid_t pid = 0;
    auto tell = [&](const uvreap::child_exit& exit) {
      CHECK_FALSE(exit.lost);
      CHECK_FALSE(exit.recovered);
      CHECK(exit.status.exit_code() == 1);
      watched_told.push_back(exit.pid);
    };
    REQUIRE(stage.reaper.fork(
                &pid, [&] { return gate.wait(), 1; }, tell) == 0);
    watched.push_back(pid);
  }
  gate.open(100);
  orphans.let_end();
  stage.run_until([&] { return told.size() == 100 && watched_told.size() == 100; });
  orphans.check(told);
  std::sort(watched.begin(), watched.end());
  std::sort(watched_told.begin(), watched_told.end());
  CHECK(watched == watched_told);
}

}  // namespace test
