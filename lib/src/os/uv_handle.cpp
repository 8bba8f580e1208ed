#include "os/uv_handle.hpp"

namespace uvreap {

bool is_on_its_loop(uv_handle_t* wanted) noexcept {
  uv_handle_t* searched = wanted;
  // The visitor takes no memory and throws nothing: libuv has moved its queue aside meanwhile, and would lose
  // it.
  uv_walk(
      wanted->loop,
      [](uv_handle_t* handle, void* searched) {
        auto** one = static_cast<uv_handle_t**>(searched);
        if (handle == *one) *one = nullptr;
      },
      &searched);
  return searched == nullptr;
}

}  // namespace uvreap
