// Built without liburing: the ladder begins one rung lower.
#include <uv.h>

#include "backends/backend.hpp"

namespace uvreap {

int make_exit_index_ring(std::unique_ptr<exit_index>&) noexcept { return UV_ENOSYS; }

}  // namespace uvreap
