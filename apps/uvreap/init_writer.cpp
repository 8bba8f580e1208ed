#include "init_writer.hpp"

#include <cstddef>
#include <utility>

namespace pid1 {

constexpr std::size_t limit = 256 << 10;

writer::writer(uv_loop_t& loop, int descriptor, std::function<void()> rested)
    : output_(
          loop,
          [this, rested](int error) {
            error_ = error;
            rested();
          },
          descriptor) {
  output_.on_drained(std::move(rested));
}

bool writer::write(std::string_view text) {
  if (error_ != 0 || output_.waiting() + text.size() > limit) return false;
  output_.write(text);
  return true;
}

}  // namespace pid1
