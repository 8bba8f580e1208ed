// Every signal whose default would end the process, so that none of them leaves jobs behind. One that was
// ignored when we were started (nohup, a job in the background of a script) stays ignored, but for SIGTERM.
//
// Not SIGKILL, which nobody can catch. Those that say that the program itself is broken (SIGSEGV and its
// like) are last_resort's.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <vector>

class signals {
 public:
  signals(uv_loop_t&, std::function<void(int signum)>);
  [[nodiscard]] int start();  // 0, or UV_E*
  void close();

 private:
  uv_loop_t& loop_;
  std::function<void(int signum)> tell_;
  std::vector<std::unique_ptr<uv_signal_t>> handles_;
};
