// What systemd tells a service, and is told by it: sd_listen_fds(3) and sd_notify(3), which are a few
// variables of the environment and a datagram. Started by something else, all of it does nothing.
#pragma once

#include <string>
#include <vector>

namespace systemd {

// Sockets that we were handed, which listen already. Call it before anything opens a descriptor, and once:
// it takes the variables out of the environment, so that no job reads them.
[[nodiscard]] std::vector<int> listening_sockets();

class notifier {
 public:
  notifier();  // as listening_sockets() does with its variable
  ~notifier();
  notifier(const notifier&) = delete;
  notifier& operator=(const notifier&) = delete;

  void tell(const std::string& assignments) const;  // "READY=1\nSTATUS=..."

 private:
  std::string path_;
  int socket_ = -1;
};

}  // namespace systemd
