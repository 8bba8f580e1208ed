// libuv's thread pool, started while threads can be made: later it would abort the program where none can.
//
// No signal goes to its threads. The kernel gives one to any thread that does not block it, when the loop's
// does for a moment (posix_spawn blocks them all); and if that thread had to wait for a processor before it
// ran the handler, the loop had ended meanwhile, and knew of no Ctrl-C.
#pragma once

#include <uv.h>

// UV_EAGAIN: no threads here (RLIMIT_NPROC, a pid limit, seccomp). Where the pool runs it is for good,
// however many processes come after it.
[[nodiscard]] int start_thread_pool(uv_loop_t&);
