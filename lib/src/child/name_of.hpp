// The name of an enumerator, of all names in the order of their declaration.
#pragma once

#include <cstddef>
#include <initializer_list>

namespace uvreap {

template <class Enum>
[[nodiscard]] const char* name_of(Enum value, std::initializer_list<const char*> names) noexcept {
  auto which = static_cast<std::size_t>(value);
  return which < names.size() ? names.begin()[which] : "unknown";
}

}  // namespace uvreap
