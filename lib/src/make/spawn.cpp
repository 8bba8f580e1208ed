#include <uv.h>

#include <new>

#include "make/prepared_command.hpp"
#include "os/always_assert.hpp"
#include "uvreap/process.hpp"

namespace uvreap::inline v0 {
namespace {

// errno.
int spawn_sound(pid_t* out, const command& what) {
  prepared_command ready(what, moment::now);
  if (int error = ready.stdio.take_given(moment::now); error != 0) return error;
  if (int error = ready.stdio.open_pipes(); error != 0) return error;
  if (int error = ready.make(out); error != 0) return error;
  ready.stdio.hand_over();
  return 0;
}

}  // namespace

int spawn(pid_t* out, const command& what) try {
  assert(out != nullptr);
  if (!prepared_command::is_sound(what)) return UV_EINVAL;
  int error = spawn_sound(out, what);
  return error == 0 ? 0 : uv_translate_sys_error(error);
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

}  // namespace uvreap::inline v0
