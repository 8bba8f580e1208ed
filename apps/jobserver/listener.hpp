// A socket that clients come to: an address and a port, the path of a Unix socket, or one that systemd made.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <functional>
#include <string>
#include <utility>

class listener {
 public:
  // It is called with the client's descriptor, which is its own from then on.
  using client_came = std::function<void(int descriptor, const sockaddr_storage&, socklen_t)>;

  listener(uv_loop_t&, client_came);
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  // Empty, or why not.
  [[nodiscard]] std::string open(const std::string& address, int port);
  [[nodiscard]] std::string take(int descriptor);
  void close();

  [[nodiscard]] const std::string& where() const {
    return where_;
  }  // "http://127.0.0.1:8080/", "unix:/run/x"
  // Only this machine's own users can reach it.
  [[nodiscard]] bool is_local() const { return is_local_; }

 private:
  [[nodiscard]] std::string open_path(const std::string& path);
  [[nodiscard]] std::string bind_to(const sockaddr* address, socklen_t length);
  [[nodiscard]] std::string start();
  void accept();
  void rest();

  uv_loop_t& loop_;
  client_came came_;
  int descriptor_ = -1;
  std::string path_;  // of a Unix socket that is ours to unlink
  std::pair<dev_t, ino_t> made_{};
  std::string where_;
  bool is_local_ = false;
  uv_poll_t poll_{};
  uv_timer_t resting_{};
  bool is_polled_ = false;
};
