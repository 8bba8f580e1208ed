// Structs of the C face, which begin with their size: the caller's may be of an older or a newer header than
// this library. What an older one lacks is 0, as for openat2(2); what a newer one has beyond ours must be 0.
#pragma once

#include <uv.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace uvreap::c {

// Of every such struct in its first version, and so without the members that are added to it later. A member
// is never added where an older struct has padding: what is there is not 0.
template <class Struct>
inline constexpr std::size_t first_size = sizeof(Struct);

// Beyond this a size was never set.
inline constexpr std::size_t largest_size = 4096;

template <class Struct>
[[nodiscard]] bool is_sound_size(const Struct& one) noexcept {
  return one.size >= first_size<Struct> && one.size <= largest_size;
}

// 0, UV_EINVAL, or UV_ENOTSUP: it asks for what this library does not know.
template <class Struct>
[[nodiscard]] int take(const Struct& given, Struct& out) noexcept {
  static_assert(std::is_trivially_copyable_v<Struct>);
  if (!is_sound_size(given)) return UV_EINVAL;
  auto* bytes = reinterpret_cast<const unsigned char*>(&given);
  auto is_set = [](unsigned char byte) { return byte != 0; };
  if (given.size > sizeof out && std::any_of(bytes + sizeof out, bytes + given.size, is_set))
    return UV_ENOTSUP;
  out = {};
  std::memcpy(&out, bytes, std::min(sizeof out, given.size));
  return 0;
}

// As much of it as the caller's has room for. Its size stays as it is.
template <class Struct>
void give(const Struct& from, Struct& to) noexcept {
  constexpr std::size_t behind_size = sizeof to.size;
  auto* bytes = reinterpret_cast<unsigned char*>(&to);
  std::memcpy(bytes + behind_size, reinterpret_cast<const unsigned char*>(&from) + behind_size,
              std::min(sizeof from, to.size) - behind_size);
  if (to.size > sizeof from) std::memset(bytes + sizeof from, 0, to.size - sizeof from);
}

}  // namespace uvreap::c
