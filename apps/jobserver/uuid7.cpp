#include "uuid7.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "../shared/printed.hpp"

namespace {

constexpr std::string_view form = "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx";

}  // namespace

bool uuid7::is_one(std::string_view id) {
  auto fits = [](char is, char as) {
    bool is_digit = (is >= '0' && is <= '9') || (is >= 'a' && is <= 'f');
    return as == 'x' ? is_digit : is == as;
  };
  return id.size() == form.size() && std::equal(id.begin(), id.end(), form.begin(), fits);
}

void uuid7::go_on_after(std::string_view id) {
  if (!is_one(id)) return;
  std::string digits(id.substr(0, 8));
  digits += id.substr(9, 4);
  digits += id.substr(15, 3);
  last_ = std::max<std::uint64_t>(last_, std::stoull(digits, nullptr, 16));
}

std::string uuid7::next() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  last_ = std::max(last_ + 1, ms << 12);  // a full count runs on into the next millisecond
  std::array<std::uint32_t, 2> random{};
  // Fails in the first moments of a machine alone; an id is never repeated without it, only easier to guess.
  (void)::getentropy(random.data(), sizeof random);
  unsigned variant = 0x8000 | (random[0] & 0x3fff);
  auto part = [this](int shift, std::uint64_t mask) { return static_cast<unsigned>(last_ >> shift & mask); };
  return print("%08x-%04x-7%03x-%04x-%04x%08x", part(28, 0xffffffff), part(12, 0xffff), part(0, 0xfff),
               variant, random[0] >> 16, random[1]);
}
