// Built without liburing: the best backend is the next one.
#include <uv.h>

#include "backends/backend.hpp"

namespace uvreap {

int make_ring(const children&, std::unique_ptr<backend>&) noexcept { return UV_ENOSYS; }

}  // namespace uvreap
