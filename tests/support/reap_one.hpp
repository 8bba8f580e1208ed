// One child of a copy, from its making to its callback. 0, or what does not hold.
#pragma once

#include <uv.h>

#include "apart.hpp"
#include "uvreap/reaper.hpp"

namespace test {

inline int reap_one(uv_loop_t& loop, uvreap::reaper& reaper) {
  int code = -1;
  pid_t pid = 0;
  HOLDS(reaper.fork(
            &pid, [] { return 5; },
            [&](const uvreap::child_exit& exit) { code = exit.status.exit_code(); }) == 0);
  while (code == -1) uv_run(&loop, UV_RUN_ONCE);
  HOLDS(code == 5);
  return 0;
}

}  // namespace test
