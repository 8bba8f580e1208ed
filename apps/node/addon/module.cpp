// The functions that lib/native.js gets. It is well known to Node by its symbols, so it may be loaded by any
// number of threads, and again where a require cache was cleared.
#include <array>
#include <memory>
#include <new>

#include "environment.hpp"
#include "values.hpp"

namespace {

using addon::arguments;
using addon::environment;

template <auto Member>
napi_value call(napi_env env, napi_callback_info info) noexcept {
  std::array<napi_value, 5> given{};
  std::size_t count = given.size();
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, given.data(), nullptr, &data);
  int error = 0;
  try {
    error = (static_cast<environment*>(data)->*Member)(arguments(given));
  } catch (const std::bad_alloc&) {
    error = UV_ENOMEM;
  }
  return addon::made_of(env, std::int64_t{error});
}

template <auto Member>
napi_property_descriptor function(const char* name, environment* whose) noexcept {
  return {name, nullptr, call<Member>, nullptr, nullptr, nullptr, napi_default, whose};
}

}  // namespace

NAPI_MODULE_INIT() {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  std::unique_ptr<environment> made(new (std::nothrow) environment(env, loop));
  if (made == nullptr || made->begin() != napi_ok) {
    napi_throw_error(env, "ENOMEM", "ENOMEM: uvreap cannot be loaded");
    return nullptr;
  }
  environment* here = made.release();  // Node ends it
  std::array functions{
      function<&environment::tell_by>("tellBy", here),
      function<&environment::watch>("watch", here),
      function<&environment::spawn>("spawn", here),
      function<&environment::detach>("detach", here),
      function<&environment::terminate>("terminate", here),
      function<&environment::reap_orphans>("reapOrphans", here),
      function<&environment::stop_reaping_orphans>("stopReapingOrphans", here),
      function<&environment::exclude>("exclude", here),
      function<&environment::become_subreaper>("becomeSubreaper", here),
  };
  napi_define_properties(env, exports, functions.size(), functions.data());
  return exports;
}
