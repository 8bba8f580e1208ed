#include "end/deadlines.hpp"

#include <uv.h>

namespace uvreap {
namespace {

constexpr std::uint64_t until_next_try_ms = 100;

}  // namespace

child* deadlines::work() noexcept {
  auto& due = static_cast<deadline&>(first());
  child& one = *due.whose;
  due.cancel();
  child_state state = one.id.look();
  if (state == child_state::ended)
    return nullptr;  // just now: then it was in time, however late that is delivered
  if (state == child_state::none) return &one;
  int error = terminations_.begin(one, due.grace_ms);
  if (error == UV_EALREADY) terminations_.shorten(one, due.grace_ms);
  if (error == 0 || error == UV_EALREADY) {
    one.timed_out = true;
  } else {
    set(due, alarm::in(until_next_try_ms));
  }
  return nullptr;
}

}  // namespace uvreap
