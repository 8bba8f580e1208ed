// A bare wait4(-1) loop: the least that many children at once can cost without an index.
#include <sys/wait.h>

#include <cerrno>
#include <unordered_map>

#include "../engine.hpp"
#include "kernel_version.hpp"

namespace bench {
namespace {

class wait_any_loop : public engine {
 public:
  using engine::engine;
  std::string start() override { return {}; }
  void watch(pid_t pid, int slot) override { slots_[pid] = slot; }
  void turn(bool may_sleep) override {
    pid_t pid = ::wait4(-1, nullptr, may_sleep ? 0 : WNOHANG, nullptr);
    if (pid <= 0) return;
    auto found = slots_.find(pid);
    if (found == slots_.end()) return;
    int slot = found->second;
    slots_.erase(found);
    told(slot);
  }

 private:
  std::unordered_map<pid_t, int> slots_;
};

}  // namespace

std::vector<engine_entry> wait_any_loop_entries() {
  return {{.name = "wait_any_loop",
           .version = kernel_version(),
           .make = maker<wait_any_loop>(),
           .takes_any_child = true}};
}

}  // namespace bench
