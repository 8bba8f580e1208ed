#include "exit_index.hpp"

#include <uv.h>

#include <new>

#include "exit_index_peek.hpp"

namespace uvreap {

int make_exit_index(index_kind kind, std::unique_ptr<exit_index>& out) noexcept {
  if (kind != index_kind::automatic && kind != index_kind::peek) return UV_ENOTSUP;
  auto* made = new (std::nothrow) exit_index_peek;
  if (made == nullptr) return UV_ENOMEM;
  out.reset(made);
  return 0;
}

}  // namespace uvreap
