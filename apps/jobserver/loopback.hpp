// Addresses that only this machine's own users can reach.
#pragma once

#include <string_view>

// Of an IPv4 or IPv6 address as text.
inline bool is_loopback(std::string_view address) { return address == "::1" || address.starts_with("127."); }
