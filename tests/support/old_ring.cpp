// An io_uring as kernels before 6.1 have it, preloaded: a ring that is to keep what is ready (DEFER_TASKRUN)
// is EINVAL. A seccomp filter could not say that, for the flags are behind a pointer.
#include <dlfcn.h>
#include <liburing.h>

#include <cerrno>

extern "C" int io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* params) {
  if ((params->flags & IORING_SETUP_DEFER_TASKRUN) != 0) return -EINVAL;
  static auto* real = reinterpret_cast<decltype(&io_uring_queue_init_params)>(
      ::dlsym(RTLD_NEXT, "io_uring_queue_init_params"));
  return real(entries, ring, params);
}
