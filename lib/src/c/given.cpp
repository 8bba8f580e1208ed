#include "c/given.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "c/made.hpp"
#include "c/sized.hpp"

namespace uvreap::c {
namespace {

// One of the first so many enumerators of Enum, which have the same numbers in C.
template <class Enum>
bool choose(int value, Enum last, Enum& out) noexcept {
  if (value < 0 || value > static_cast<int>(last)) return false;
  out = static_cast<Enum>(value);
  return true;
}

// A number that is 0 where the default is meant, which out has been, and UVREAP_NONE where 0 is.
template <class Number>
bool choose(std::int64_t value, Number& out) noexcept {
  if (value < UVREAP_NONE) return false;
  if (value == UVREAP_NONE) out = Number{0};
  if (value > 0) out = static_cast<Number>(value);
  return true;
}

// The same where 0 can only be the default.
bool choose(int value, int& out) noexcept {
  if (value < 0) return false;
  if (value > 0) out = value;
  return true;
}

void add(char* const* from, std::vector<std::string>& to) {
  for (; from != nullptr && *from != nullptr; ++from) to.emplace_back(*from);
}

// What a name has already is left to it, or not.
enum class at_hand { stays, goes };

bool add_variables(char* const* from, at_hand earlier, std::map<std::string, std::string>& to) {
  for (; from != nullptr && *from != nullptr; ++from) {
    std::string_view text(*from);
    auto end_of_name = text.find('=');
    if (end_of_name == std::string_view::npos) return false;
    std::string name(text.substr(0, end_of_name));
    std::string value(text.substr(end_of_name + 1));
    if (earlier == at_hand::goes)
      to.insert_or_assign(std::move(name), std::move(value));
    else
      to.emplace(std::move(name), std::move(value));
  }
  return true;
}

constexpr std::size_t kept_by_default = 1 << 20;  // of a captured stream

bool asks_for_more(const uvreap_stdio_t& given) noexcept {
  return std::ranges::any_of(given.reserved, [](std::int64_t one) { return one != 0; });
}

bool take_captured(std::int64_t limit, stdio& out) noexcept {
  std::size_t kept = kept_by_default;
  if (!choose(std::min<std::int64_t>(limit, PTRDIFF_MAX), kept)) return false;
  out = stdio::captured(kept);
  return true;
}

bool take_stdio(const uvreap_stdio_t& given, stdio& out) {
  switch (given.kind) {
    case UVREAP_STDIO_INHERIT:
      out = stdio::inherit();
      return true;
    case UVREAP_STDIO_NULL:
      out = stdio::null();
      return true;
    case UVREAP_STDIO_DESCRIPTOR:
      out = stdio::descriptor(given.descriptor);
      return true;
    case UVREAP_STDIO_SAME_AS_OUTPUT:
      out = stdio::same_as_output();
      return true;
    case UVREAP_STDIO_CAPTURED:
      return take_captured(given.limit, out);
    case UVREAP_STDIO_FILE:
      if (given.path == nullptr) return false;
      out = stdio::file(given.path, given.flags, given.mode);
      return true;
    case UVREAP_STDIO_PIPE:
      if (given.our_end == nullptr) return false;
      out = stdio::pipe(given.our_end);
      return true;
    default:
      return false;
  }
}

std::string string_or_empty(const char* text) { return text != nullptr ? text : ""; }

}  // namespace

int from(const uvreap_options_t* given, options& out) {
  uvreap_options_t known{};
  if (given == nullptr) return 0;
  if (int error = take(*given, known); error != 0) return error;
  if (known.children != UVREAP_WATCHED && known.children != UVREAP_ANY) return UV_EINVAL;
  auto& [children, backend, sigchld, budget, budget_time, poll_every, on_unclaimed, spawn_queue,
         unclaimed_grace, sole_parent] = out;
  children = known.children == UVREAP_ANY ? scope::any() : scope::watched();
  sole_parent = known.sole_parent;
  on_unclaimed = from(known.on_unclaimed, known.on_unclaimed_data);
  bool is_sound = choose(known.backend, backend_kind::peek, backend) &&
                  choose(known.sigchld, sigchld_use::never, sigchld) && choose(known.budget, budget) &&
                  choose(known.budget_time_us, budget_time) && choose(known.poll_every_ms, poll_every) &&
                  choose(known.spawn_queue, spawn_queue) && choose(known.unclaimed_grace_ms, unclaimed_grace);
  return is_sound ? 0 : UV_EINVAL;
}

int from(const uvreap_watch_options_t* given, void* data, watch_options& out) {
  uvreap_watch_options_t known{};
  if (given == nullptr) return 0;
  if (int error = take(*given, known); error != 0) return error;
  auto& [ref, on_change, timeout, grace] = out;
  ref = !known.unref;
  if (known.on_change != nullptr) {
    on_change = [call = known.on_change, data](const child_change& change) {
      uvreap_change_t told = made_of(change);
      call(&told, data);
    };
  }
  if (known.timeout_ms < 0) return UV_EINVAL;
  timeout = std::chrono::milliseconds(known.timeout_ms);
  return choose(known.grace_ms, grace) ? 0 : UV_EINVAL;
}

int from(const uvreap_command_t& given, command& out) {
  uvreap_command_t known{};
  if (int error = take(given, known); error != 0) return error;
  for (const uvreap_stdio_t* one : {&known.input, &known.output, &known.error_output}) {
    if (asks_for_more(*one)) return UV_ENOTSUP;
  }
  auto& [argv, program, env, cwd, input, output, error_output, group, signals, keep_descriptors, drain] = out;
  auto& [inherit, set, unset] = env;
  add(known.argv, argv);
  program = string_or_empty(known.program);
  inherit = known.envp == nullptr;
  add(known.env_unset, unset);
  cwd = string_or_empty(known.cwd);
  keep_descriptors = known.keep_descriptors;
  bool is_sound = add_variables(known.envp, at_hand::stays, set) &&
                  add_variables(known.env_set, at_hand::goes, set) && take_stdio(known.input, input) &&
                  take_stdio(known.output, output) && take_stdio(known.error_output, error_output) &&
                  choose(known.group, process_group::session, group) &&
                  choose(known.signals, child_signals::inherited, signals) && choose(known.drain_ms, drain);
  return is_sound ? 0 : UV_EINVAL;
}

callback from(uvreap_exit_cb call, void* data) {
  if (call == nullptr) return {};
  return [call, data](const child_exit& exit) {
    uvreap_exit_t told = made_of(exit);
    call(&told, data);
  };
}

}  // namespace uvreap::c
