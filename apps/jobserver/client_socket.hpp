// The socket of a client: what the kernel is asked of it and told about it.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace client_socket {

// "127.0.0.1:40000", "[::1]:40000", or "user 1000" at the other end of a Unix socket.
[[nodiscard]] std::string name_of(int descriptor, const sockaddr*);

// What the kernel keeps for it is bounded. A client that is gone becomes an error of the socket, though
// nothing is written to it: by keepalive, in a minute or so, when its kernel no longer answers for a
// connection that it closed (tcp(7), tcp_fin_timeout).
void prepare(int descriptor);

// As far as that goes without waiting for it.
void say(int descriptor, std::string_view);

// Bytes that came since its beginning. Always 0 for a Unix socket, whose kernel does not count.
[[nodiscard]] std::uint64_t received(int descriptor);

// It says no more, and all that it said was read.
[[nodiscard]] bool is_at_end(int descriptor);

}  // namespace client_socket
