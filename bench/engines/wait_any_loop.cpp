// A bare wait4(-1) loop: the least that many children at once can cost without an backend.
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "../engine.hpp"
#include "kernel_version.hpp"

namespace bench {
namespace {

// What a pass of the reaper's costs without a reaper: CPU time of this thread over as many calls as a pass
// may make (64, or what 500 us allow, by a clock that is read every 8 calls).
class bare_pass {
 public:
  void called() {
    if (began_ == 0) began_ = thread_cpu_time();  // what came before was making children
    if (++calls_ % 8 != 0) return;
    std::int64_t cpu = thread_cpu_time();
    std::int64_t spent = cpu - began_;
    longest_ = std::max(longest_, spent);
    if (calls_ < 64 && spent < 500'000) return;
    began_ = cpu;
    calls_ = 0;
  }
  [[nodiscard]] double longest_us() const { return static_cast<double>(longest_) / 1000; }

 private:
  std::int64_t began_ = 0;
  std::int64_t longest_ = 0;
  int calls_ = 0;
};

class wait_any_loop : public engine {
 public:
  using engine::engine;
  std::string start() override { return {}; }
  void watch(pid_t pid, int slot) override { slots_[pid] = slot; }
  void turn(bool may_sleep) override {
    pid_t pid = ::wait4(-1, nullptr, may_sleep ? 0 : WNOHANG, nullptr);
    if (auto found = slots_.find(pid); found != slots_.end()) {
      int slot = found->second;
      slots_.erase(found);
      told(slot);
    }
    pass_.called();
  }
  [[nodiscard]] std::vector<own_figure> own_figures() const override {
    return {{"longest_sweep", "us", pass_.longest_us()}};
  }

 private:
  std::unordered_map<pid_t, int> slots_;
  bare_pass pass_;
};

}  // namespace

std::vector<engine_entry> wait_any_loop_entries() {
  return {{.name = "wait_any_loop",
           .version = kernel_version(),
           .make = maker<wait_any_loop>(),
           .takes_any_child = true}};
}

}  // namespace bench
