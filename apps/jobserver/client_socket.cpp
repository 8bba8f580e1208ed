#include "client_socket.hpp"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>

namespace client_socket {
namespace {

constexpr int kernel_keeps = 64 * 1024;  // bytes sent to a client and not yet taken by it

// TCP asks a silent client whether it is there: first after so many seconds, then so often, so many times.
constexpr int silent_seconds = 20;
constexpr int between_seconds = 10;
constexpr int times = 3;

}  // namespace

std::string name_of(int descriptor, const sockaddr* address) {
  char text[INET6_ADDRSTRLEN]{};
  if (address->sa_family == AF_INET) {
    const auto& ipv4 = *reinterpret_cast<const sockaddr_in*>(address);
    return std::string(::inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof text)) + ":" +
           std::to_string(ntohs(ipv4.sin_port));
  }
  if (address->sa_family == AF_INET6) {
    const auto& ipv6 = *reinterpret_cast<const sockaddr_in6*>(address);
    return "[" + std::string(::inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof text)) +
           "]:" + std::to_string(ntohs(ipv6.sin6_port));
  }
  ucred peer{};
  socklen_t length = sizeof peer;
  ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  return "user " + std::to_string(peer.uid);
}

// None of these can fail for a reason that would keep the client from being served.
void prepare(int descriptor) {
  auto set = [descriptor](int level, int option, int value) {
    (void)::setsockopt(descriptor, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_SNDBUF, kernel_keeps);  // or it would keep up to 4 MiB
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, silent_seconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, between_seconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, times);
}

void say(int descriptor, std::string_view text) {
  (void)::send(descriptor, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::uint64_t received(int descriptor) {
  tcp_info about{};  // the count is in it since Linux 4.1
  socklen_t length = sizeof about;
  return ::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &about, &length) == 0 ? about.tcpi_bytes_received
                                                                               : 0;
}

bool is_at_end(int descriptor) {
  pollfd end{.fd = descriptor, .events = POLLRDHUP, .revents = 0};
  int unread = 0;
  return ::poll(&end, 1, 0) == 1 && ::ioctl(descriptor, FIONREAD, &unread) == 0 && unread == 0;
}

}  // namespace client_socket
