#include "listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "loopback.hpp"

namespace {

constexpr int clients_a_turn = 64;
constexpr std::uint64_t rest_ms = 100;  // when there is no descriptor for a client, who waits meanwhile

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// A socket that nobody listens to any more: its server was killed.
bool is_left_over(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  sockaddr_un address = address_of(path);
  int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  bool is_refused = result != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return is_refused;
}

std::pair<dev_t, ino_t> identity_of(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? std::pair(status.st_dev, status.st_ino)
                                             : std::pair<dev_t, ino_t>();
}

std::string text_of_error() { return std::strerror(errno); }

}  // namespace

listener::listener(uv_loop_t& loop, client_came came) : loop_(loop), came_(std::move(came)) {}

listener::~listener() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!path_.empty() && identity_of(path_) == made_) ::unlink(path_.c_str());  // it may be another server's
}

std::string listener::open(const std::string& address, int port) {
  if (address.starts_with('/')) return open_path(address);
  sockaddr_in ipv4{
      .sin_family = AF_INET, .sin_port = htons(static_cast<in_port_t>(port)), .sin_addr = {}, .sin_zero = {}};
  if (::inet_pton(AF_INET, address.c_str(), &ipv4.sin_addr) == 1) {
    return bind_to(reinterpret_cast<const sockaddr*>(&ipv4), sizeof ipv4);
  }
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(static_cast<in_port_t>(port));
  ::inet_pton(AF_INET6, address.c_str(), &ipv6.sin6_addr);
  return bind_to(reinterpret_cast<const sockaddr*>(&ipv6), sizeof ipv6);
}

std::string listener::open_path(const std::string& path) {
  if (is_left_over(path)) ::unlink(path.c_str());
  sockaddr_un address = address_of(path);
  std::string wrong = bind_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (wrong.empty()) {
    path_ = path;
    made_ = identity_of(path);
  }
  return wrong;
}

std::string listener::bind_to(const sockaddr* address, socklen_t length) {
  descriptor_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;
  if (descriptor_ < 0) return text_of_error();
  if (address->sa_family != AF_UNIX) ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(descriptor_, address, length) != 0) return text_of_error();
  if (::listen(descriptor_, SOMAXCONN) != 0) return text_of_error();
  return start();
}

std::string listener::take(int descriptor) {
  descriptor_ = descriptor;
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) return text_of_error();
  return listens != 0 ? start() : "it does not listen";
}

std::string listener::start() {
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&own), &length);
  char text[INET6_ADDRSTRLEN]{};
  if (own.ss_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(own);
    ::inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof text);
    where_ = std::string("http://") + text + ":" + std::to_string(ntohs(ipv4.sin_port)) + "/";
  } else if (own.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(own);
    ::inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof text);
    where_ = std::string("http://[") + text + "]:" + std::to_string(ntohs(ipv6.sin6_port)) + "/";
  } else {
    where_ = std::string("unix:") + reinterpret_cast<const sockaddr_un&>(own).sun_path;
  }
  is_local_ = own.ss_family == AF_UNIX || is_loopback(text);
  if (int error = uv_poll_init(&loop_, &poll_, descriptor_); error != 0) return uv_strerror(error);
  is_polled_ = true;
  poll_.data = resting_.data = this;
  uv_timer_init(&loop_, &resting_);
  auto readable = [](uv_poll_t* handle, int, int) { static_cast<listener*>(handle->data)->accept(); };
  int error = uv_poll_start(&poll_, UV_READABLE, readable);
  return error != 0 ? uv_strerror(error) : "";
}

void listener::accept() {
  for (int i = 0; i < clients_a_turn; ++i) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    int client =
        ::accept4(descriptor_, reinterpret_cast<sockaddr*>(&address), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0) {
      came_(client, address, length);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return rest();
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

// Polled on, the socket would be ready all the time.
void listener::rest() {
  uv_poll_stop(&poll_);
  auto rested = [](uv_timer_t* timer) {
    auto* self = static_cast<listener*>(timer->data);
    auto readable = [](uv_poll_t* handle, int, int) { static_cast<listener*>(handle->data)->accept(); };
    uv_poll_start(&self->poll_, UV_READABLE, readable);
  };
  uv_timer_start(&resting_, rested, rest_ms, 0);
}

void listener::close() {
  if (!is_polled_) return;
  is_polled_ = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&resting_), nullptr);
}
