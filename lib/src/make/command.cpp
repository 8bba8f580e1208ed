#include "uvreap/command.hpp"

#include <fcntl.h>

#include <utility>

#include "os/always_assert.hpp"

namespace uvreap {

stdio stdio::null() { return file("/dev/null", O_RDWR); }

stdio stdio::descriptor(int number) noexcept {
  stdio made(kind::descriptor);
  made.descriptor_ = number;
  return made;
}

stdio stdio::file(std::string path, int flags, mode_t mode) {
  stdio made(kind::file);
  made.path_ = std::move(path);
  made.flags_ = flags;
  made.mode_ = mode;
  return made;
}

stdio stdio::pipe(int* our_end) {
  assert(our_end != nullptr);
  stdio made(kind::pipe);
  made.our_end_ = our_end;
  return made;
}

stdio stdio::same_as_output() noexcept { return stdio(kind::same_as_output); }

stdio stdio::captured(std::size_t limit) noexcept {
  stdio made(kind::captured);
  made.limit_ = limit;
  return made;
}

command& command::capture(std::size_t limit) noexcept {
  output = stdio::captured(limit);
  if (error_output != stdio::same_as_output()) error_output = stdio::captured(limit);
  return *this;
}

}  // namespace uvreap
