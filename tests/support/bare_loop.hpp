// A loop without a reaper, for tests that make their own: it must close at the end, and leave no descriptor.
#pragma once

#include <doctest/doctest.h>
#include <uv.h>

#include "children.hpp"

namespace test {

class bare_loop {
 public:
  bare_loop() {
    [[maybe_unused]] static const bool once = make_what_libuv_keeps();
    descriptors_ = open_descriptors();
    REQUIRE(uv_loop_init(&loop) == 0);
  }
  ~bare_loop() {
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_MESSAGE(uv_loop_close(&loop) == 0, "a handle is left in the loop");
    CHECK_MESSAGE(open_descriptors() == descriptors_, "descriptors more or less than before");
  }
  bare_loop(const bare_loop&) = delete;
  bare_loop& operator=(const bare_loop&) = delete;

  uv_loop_t loop{};

 private:
  // libuv keeps two descriptors for all signals of the process from the first loop on.
  static bool make_what_libuv_keeps() {
    uv_loop_t first;
    return uv_loop_init(&first) == 0 && uv_loop_close(&first) == 0;
  }

  int descriptors_ = 0;
};

}  // namespace test
