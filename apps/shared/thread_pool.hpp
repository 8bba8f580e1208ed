// libuv's thread pool, started while threads can be made: later it would abort the program where none can.
#pragma once

#include <uv.h>

// UV_EAGAIN: no threads here (RLIMIT_NPROC, a pid limit, seccomp). Where the pool runs it is for good,
// however many processes come after it.
[[nodiscard]] int start_thread_pool(uv_loop_t&);
