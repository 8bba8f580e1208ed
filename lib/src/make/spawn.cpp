#include <uv.h>

#include <new>

#include "make/prepared_command.hpp"
#include "make/spawner.hpp"
#include "os/always_assert.hpp"
#include "uvreap/process.hpp"

namespace uvreap::inline v0 {

int spawn(pid_t* out, const command& what) try {
  assert(out != nullptr);
  if (!prepared_command::is_sound(what)) return UV_EINVAL;
  prepared_command ready(what, moment::now);
  spawner* all = spawner::of_this_process();
  if (all == nullptr) return UV_ENOMEM;
  int error = all->make_now(ready, out);
  return error == 0 ? 0 : uv_translate_sys_error(error);
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

}  // namespace uvreap::inline v0
