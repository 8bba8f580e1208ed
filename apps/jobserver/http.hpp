// What a request and an answer are, without the library that carries them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

enum class method { get, head, post, del, other };

struct http_request {
  method how = method::other;
  std::string path;  // decoded, without dot segments and doubled slashes: the library has resolved them
  std::string host;
  std::string origin;
  std::string authorization;
  std::string subprotocols;  // of a WebSocket
  std::string content_type;
  std::optional<std::string> content_length;
  bool is_chunked = false;
  bool is_too_long = false;  // the path was
  std::string body;
};

struct http_answer {
  int status = 200;
  std::string body;
  const char* type = "application/json";
  std::vector<std::pair<const char*, std::string>> headers{};  // names in lower case, with their colon
};

// {"error": text}
[[nodiscard]] http_answer refusal(int status, std::string_view text);
