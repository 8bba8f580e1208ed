// What the loop will need of descriptors, held until the command runs: so that a limit that is too low is
// known before the command has begun, and one of 8 is enough.
#pragma once

#include <array>

namespace pid1 {

class descriptor_reserve {
 public:
  descriptor_reserve();
  ~descriptor_reserve();
  descriptor_reserve(const descriptor_reserve&) = delete;
  descriptor_reserve& operator=(const descriptor_reserve&) = delete;

  [[nodiscard]] int error() const { return error_; }  // errno: there is not enough

  // The command has its streams, and init reads and writes neither of the first two: they are closed, too,
  // and a pipe there ends when the command closes it.
  void give_up();

 private:
  // Of libuv's loop: an epoll set, an eventfd and two pipes. The first two streams are two of them.
  std::array<int, 6 - 2> held_;
  int error_ = 0;
};

}  // namespace pid1
