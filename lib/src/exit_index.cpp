#include "exit_index.hpp"

#include <uv.h>

#include <new>

#include "exit_index_ladder.hpp"
#include "exit_index_peek.hpp"

namespace uvreap {
namespace {

// What may be different in a moment; everything else about a kind that cannot be had is for good.
bool passing(int error) noexcept { return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM; }

int best_rung(index_kind kind, std::unique_ptr<exit_index>& top) noexcept {
  switch (kind) {
    case index_kind::ring:
      return make_exit_index_ring(top);
    case index_kind::pidfd:
      return make_exit_index_pidfd(top);
    case index_kind::peek:
      return 0;
    case index_kind::automatic:
      break;
  }
  int why_no_ring = make_exit_index_ring(top);
  if (why_no_ring == 0) return 0;
  int why_no_pidfd = make_exit_index_pidfd(top);
  return why_no_pidfd == 0 ? why_no_ring : why_no_pidfd;
}

}  // namespace

int make_exit_index(index_kind kind, std::unique_ptr<exit_index>& out) noexcept {
  std::unique_ptr<exit_index> top;
  int why_not = best_rung(kind, top);
  bool asked_for_one = kind != index_kind::automatic;
  if (asked_for_one && why_not != 0) return passing(why_not) ? why_not : UV_ENOTSUP;
  auto* made = new (std::nothrow) exit_index_ladder(std::move(top), why_not);
  if (made == nullptr) return UV_ENOMEM;
  out.reset(made);
  return 0;
}

}  // namespace uvreap
