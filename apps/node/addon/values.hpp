// JavaScript values as C++ ones, and back. What comes from JavaScript comes from lib/, which has checked it.
#pragma once

#include <node_api.h>
#include <uvreap.h>

#include <cstdint>
#include <string>
#include <vector>

namespace addon {

[[nodiscard]] std::int64_t integer(napi_env, napi_value) noexcept;
[[nodiscard]] bool truth(napi_env, napi_value) noexcept;
[[nodiscard]] bool is_undefined(napi_env, napi_value) noexcept;
[[nodiscard]] std::string text(napi_env, napi_value);
[[nodiscard]] napi_value member(napi_env, napi_value object, const char* name) noexcept;

// An array of strings as execve(2) takes it.
class string_list {
 public:
  string_list(napi_env, napi_value array);
  [[nodiscard]] char* const* get() const noexcept { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

[[nodiscard]] napi_value made_of(napi_env, std::int64_t) noexcept;
[[nodiscard]] napi_value made_of(napi_env, const uvreap_exit_t&, bool with_output) noexcept;

}  // namespace addon
