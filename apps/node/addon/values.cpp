#include "values.hpp"

#include <sys/wait.h>

namespace addon {

std::int64_t integer(napi_env env, napi_value value) noexcept {
  std::int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
}

bool truth(napi_env env, napi_value value) noexcept {
  bool is_true = false;
  napi_get_value_bool(env, value, &is_true);
  return is_true;
}

bool is_undefined(napi_env env, napi_value value) noexcept {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type == napi_undefined;
}

std::string text(napi_env env, napi_value value) {
  std::size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string string(length, '\0');
  napi_get_value_string_utf8(env, value, string.data(), length + 1, &length);
  return string;
}

napi_value member(napi_env env, napi_value object, const char* name) noexcept {
  napi_value value = nullptr;
  napi_get_named_property(env, object, name, &value);
  return value;
}

string_list::string_list(napi_env env, napi_value array) {
  std::uint32_t count = 0;
  napi_get_array_length(env, array, &count);
  for (std::uint32_t i = 0; i < count; ++i) {
    napi_value element = nullptr;
    napi_get_element(env, array, i, &element);
    strings_.push_back(text(env, element));
  }
  for (std::string& string : strings_) pointers_.push_back(string.data());
  pointers_.push_back(nullptr);
}

napi_value made_of(napi_env env, std::int64_t number) noexcept {
  napi_value value = nullptr;
  napi_create_int64(env, number, &value);
  return value;
}

namespace {

napi_value made_of(napi_env env, bool is_true) noexcept {
  napi_value value = nullptr;
  napi_get_boolean(env, is_true, &value);
  return value;
}

napi_value null_in(napi_env env) noexcept {
  napi_value value = nullptr;
  napi_get_null(env, &value);
  return value;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) noexcept {
  napi_set_named_property(env, object, name, value);
}

napi_value made_of(napi_env env, const uvreap_usage_t& usage) noexcept {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  auto put = [&](const char* name, std::int64_t value) {
    set(env, object, name, addon::made_of(env, value));
  };
  put("userMicroseconds", usage.user_time_us);
  put("systemMicroseconds", usage.system_time_us);
  put("maxRssBytes", usage.max_rss_bytes);
  put("minorFaults", usage.minor_faults);
  put("majorFaults", usage.major_faults);
  put("voluntarySwitches", usage.voluntary_switches);
  put("involuntarySwitches", usage.involuntary_switches);
  put("blocksIn", usage.blocks_in);
  put("blocksOut", usage.blocks_out);
  return object;
}

napi_value made_of(napi_env env, const uvreap_captured_t& captured) noexcept {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  napi_value bytes = nullptr;
  if (napi_create_buffer_copy(env, captured.length, captured.bytes, nullptr, &bytes) != napi_ok) {
    bytes = null_in(env);  // no memory for a second copy
  }
  set(env, object, "bytes", bytes);
  set(env, object, "cutByLimit", made_of(env, captured.cut_by_limit));
  set(env, object, "cutByTime", made_of(env, captured.cut_by_time));
  return object;
}

}  // namespace

napi_value made_of(napi_env env, const uvreap_exit_t& exit, bool with_output) noexcept {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  bool has_exited = !exit.lost && WIFEXITED(exit.status);
  bool was_killed = !exit.lost && WIFSIGNALED(exit.status);
  bool has_usage = !exit.lost && !exit.recovered;
  set(env, object, "pid", made_of(env, std::int64_t{exit.pid}));
  set(env, object, "code", has_exited ? made_of(env, std::int64_t{WEXITSTATUS(exit.status)}) : null_in(env));
  set(env, object, "signal", was_killed ? made_of(env, std::int64_t{WTERMSIG(exit.status)}) : null_in(env));
  set(env, object, "lost", made_of(env, exit.lost));
  set(env, object, "timedOut", made_of(env, exit.timed_out));
  set(env, object, "usage", has_usage ? made_of(env, exit.usage) : null_in(env));
  if (with_output) {
    set(env, object, "stdout", made_of(env, exit.output));
    set(env, object, "stderr", made_of(env, exit.error_output));
  }
  return object;
}

}  // namespace addon
