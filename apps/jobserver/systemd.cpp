#include "systemd.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace systemd {
namespace {

std::string taken(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value != nullptr ? value : "";
  ::unsetenv(name);
  return text;
}

}  // namespace

std::vector<int> listening_sockets() {
  constexpr int first = 3;  // SD_LISTEN_FDS_START
  bool is_for_us = taken("LISTEN_PID") == std::to_string(::getpid());
  int count = std::atoi(taken("LISTEN_FDS").c_str());
  taken("LISTEN_FDNAMES");
  std::vector<int> sockets;
  for (int fd = first; is_for_us && fd < first + count; ++fd) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) sockets.push_back(fd);
  }
  return sockets;
}

notifier::notifier() : path_(taken("NOTIFY_SOCKET")) {
  if (!path_.empty()) socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

notifier::~notifier() {
  if (socket_ >= 0) ::close(socket_);
}

void notifier::tell(const std::string& assignments) const {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket_ < 0 || path_.size() >= sizeof address.sun_path) return;
  path_.copy(address.sun_path, path_.size());
  if (path_[0] == '@') address.sun_path[0] = '\0';  // an abstract one
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  (void)::sendto(socket_, assignments.data(), assignments.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace systemd
