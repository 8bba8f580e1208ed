#include "backends/backend.hpp"

#include <uv.h>

#include <new>

#include "backends/fallback.hpp"

namespace uvreap {

int make_exit_index(backend_kind kind, std::unique_ptr<exit_index>& out) noexcept {
  std::unique_ptr<exit_index> top;
  int why_not = make_top_rung(kind, top);
  bool asked_for_one = kind != backend_kind::automatic;
  if (asked_for_one && why_not != 0) return passing(why_not) ? why_not : UV_ENOTSUP;
  auto* made = new (std::nothrow) exit_index_ladder(std::move(top), why_not);
  if (made == nullptr) return UV_ENOMEM;
  out.reset(made);
  return 0;
}

}  // namespace uvreap
