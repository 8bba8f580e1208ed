// What a request and an answer are, without the library that carries them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

enum class method { get, head, post, del, other };

struct http_request {
  method how = method::other;
  std::string method_name;
  std::string target;  // as it was sent, with its query: see target.hpp
  bool is_http_1_0 = false;
  std::vector<std::pair<std::string, std::string>> fields;  // the header, in its order
  std::string body;
  std::string client;          // "127.0.0.1:40000", or who is at the other end of a Unix socket
  bool is_by_network = false;  // not by a Unix socket

  // Names have no case. Empty: there is none; of several, the first.
  [[nodiscard]] std::optional<std::string> field(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
};

[[nodiscard]] bool same_name(std::string_view, std::string_view);  // but for the case of ASCII letters

// A body that is read in pieces, as the client takes them. It is destroyed when the answer is over, be it
// because the client went away.
class body_stream {
 public:
  static constexpr ssize_t end = -1;
  static constexpr ssize_t broken = -2;  // the connection is closed, so that the client sees it

  virtual ~body_stream() = default;

  // How many bytes were put into the room, end or broken. 0: none now, wake() will be called.
  [[nodiscard]] virtual ssize_t read(char* room, std::size_t size) = 0;

  std::optional<std::uint64_t> length{};  // empty: until its end
  std::function<void()> wake = [] {};     // set by who carries it
};

struct http_answer {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::vector<std::pair<const char*, std::string>> fields{};
  std::unique_ptr<body_stream> stream{};  // in place of body
  std::string detail{};                   // of a problem, for the log
};

// Called once: at once, or later on the loop.
using http_reply = std::function<void(http_answer)>;

[[nodiscard]] http_answer problem(int status, std::string_view detail);  // RFC 9457

// Its bytes, of one without a stream, after which the connection is closed.
[[nodiscard]] std::string last_words(const http_answer&);

// Fields that say where a body ends are read by whoever is between the client and us as well. What two of
// them could read differently (request smuggling) is refused: RFC 9112, 5.1, 6.1, 6.3. Empty: all is well.
[[nodiscard]] std::optional<http_answer> wrong_framing(const http_request&);
