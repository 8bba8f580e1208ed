// post-evenly PORT RATE BODY: POSTs BODY to /v1/jobs of 127.0.0.1, RATE times a second, on one connection,
// until it is ended. One that is due while an answer is awaited is made up for at once.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

int connect_to(std::uint16_t port) {
  int made = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(made, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0 ? made : -1;
}

// The status of an answer with a Content-Length; 0: the connection is over.
int read_answer(int connection) {
  constexpr std::string_view length_is = "\r\nContent-Length: ";
  std::string all;
  for (;;) {
    char some[4096];
    ssize_t length = ::read(connection, some, sizeof some);
    if (length <= 0) return 0;
    all.append(some, static_cast<std::size_t>(length));
    std::size_t head = all.find("\r\n\r\n");
    std::size_t at = all.find(length_is);
    if (head == std::string::npos || at > head) continue;
    std::size_t body = std::strtoul(all.c_str() + at + length_is.size(), nullptr, 10);
    if (all.size() >= head + 4 + body) return std::atoi(all.c_str() + sizeof "HTTP/1.1");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  int connection = connect_to(static_cast<std::uint16_t>(std::atoi(argv[1])));
  if (connection < 0) return std::perror("post-evenly"), 1;
  long between_ns = static_cast<long>(1e9 / std::atof(argv[2]));
  std::string body = argv[3];
  std::string request =
      "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  timespec due{};
  ::clock_gettime(CLOCK_MONOTONIC, &due);
  for (;;) {
    if (::write(connection, request.data(), request.size()) != static_cast<ssize_t>(request.size())) return 1;
    int status = read_answer(connection);
    if (status / 100 != 2) return std::fprintf(stderr, "post-evenly: answered %d\n", status), 1;
    due.tv_nsec += between_ns;
    due.tv_sec += due.tv_nsec / 1'000'000'000;
    due.tv_nsec %= 1'000'000'000;
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
  }
}
