// A client of an example's server: a connection to a port of the loopback, spoken to in lines.
//
//     test::line_client client(port);
//     client.say("date\n");
//     CHECK(client.line() == "...");
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>

#include "demo_program.hpp"

namespace test {

class line_client {
 public:
  explicit line_client(int port) : socket_(opened(AF_INET)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<in_port_t>(port));
    connected = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  explicit line_client(const std::string& path) : socket_(opened(AF_UNIX)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    connected = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~line_client() { ::close(socket_); }
  line_client(const line_client&) = delete;
  line_client& operator=(const line_client&) = delete;

  bool connected = false;

  void say(const std::string& text) const { REQUIRE(try_say(text)); }

  // False: the other end is closed.
  [[nodiscard]] bool try_say(const std::string& text) const {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  void say_no_more() const { ::shutdown(socket_, SHUT_WR); }

  // As soon as it is closed, its kernel forgets it in a second, and not in a minute (tcp(7), TCP_LINGER2).
  void be_forgotten_soon() const {
    int seconds = 1;
    REQUIRE(::setsockopt(socket_, IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof seconds) == 0);
  }

  [[nodiscard]] bool has_ended() const { return has_ended_; }

  // The next line without its end; empty: the connection ended.
  std::string line() {
    auto end = read_.find('\n');
    while (end == std::string::npos) {
      if (!read_some()) return {};
      end = read_.find('\n');
    }
    std::string first = read_.substr(0, end);
    read_.erase(0, end + 1);
    return first;
  }

  // The next so many, or fewer: the connection ended.
  std::string bytes(std::size_t count) {
    while (read_.size() < count && read_some()) {
    }
    std::string first = read_.substr(0, count);
    read_.erase(0, count);
    return first;
  }

  // All that comes until the connection ends.
  std::string rest() {
    while (read_some()) {
    }
    return std::exchange(read_, {});
  }

 private:
  bool read_some() {
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    REQUIRE_MESSAGE(::poll(&ready, 1, 60'000) == 1, "the server does not answer");
    char text[4096];
    ssize_t length = ::read(socket_, text, sizeof text);
    if (length > 0) read_.append(text, static_cast<std::size_t>(length));
    has_ended_ = length <= 0;
    return length > 0;
  }

  static int opened(int family) {
    int made = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(made >= 0);
    return made;
  }

  int socket_;
  std::string read_;
  bool has_ended_ = false;
};

// The number that stands behind the last such word in what the program printed.
inline int number_after(const std::string& word, const demo_program& program) {
  auto at = program.output.rfind(word);
  REQUIRE_MESSAGE(at != std::string::npos, program.output);
  return std::atoi(program.output.c_str() + at + word.size());
}

}  // namespace test
