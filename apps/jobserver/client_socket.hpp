// The socket of a client: what the kernel is asked of it and told about it.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace client_socket {

// "127.0.0.1:40000", "[::1]:40000", or "user 1000" at the other end of a Unix socket.
[[nodiscard]] std::string name_of(int descriptor, const sockaddr*);

// What the kernel keeps for it is bounded, and a client that is gone for good becomes an error of the socket:
// within a minute if its machine is gone, and if it only closed its end, once its kernel forgot that, which
// is after a minute, too.
void prepare(int descriptor);

// Bytes that came since its beginning. Always 0 for a Unix socket, whose kernel does not count.
[[nodiscard]] std::uint64_t received(int descriptor);

}  // namespace client_socket
