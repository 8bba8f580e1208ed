// The floor: a thread blocked in wait4(pid). Nothing can hear sooner; it hears of one child only.
#include <sys/wait.h>

#include <cerrno>
#include <vector>

#include "../engine.hpp"
#include "kernel_version.hpp"

namespace bench {
namespace {

class floor_engine : public engine {
 public:
  using engine::engine;
  std::string start() override { return {}; }
  void watch(pid_t pid, int slot) override {
    auto place = static_cast<std::size_t>(slot);
    if (pids_.size() <= place) pids_.resize(place + 1);
    pids_[place] = pid;
  }
  void turn(bool) override {}  // there is nothing beside the wait
  void run_until_told(const std::int64_t& told_at, int slot) override {
    if (told_at != 0) return;
    while (::wait4(pids_[static_cast<std::size_t>(slot)], nullptr, 0, nullptr) < 0 && errno == EINTR) {
    }
    told(slot);
  }

 private:
  std::vector<pid_t> pids_;
};

}  // namespace

std::vector<engine_entry> floor_entries() {
  return {{.name = "floor", .version = kernel_version(), .make = maker<floor_engine>()}};
}

}  // namespace bench
