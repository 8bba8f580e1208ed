// One client's connection, and its request and answer that are on their way.
#pragma once

#include <libwebsockets.h>

#include <cstddef>
#include <string>

#include "event_queue.hpp"
#include "http.hpp"

// Bytes of all requests and answers that are on their way, so that slow clients cannot fill the memory.
struct transit {
  static constexpr std::size_t most = std::size_t{128} << 20;
  std::size_t bytes = 0;
};

class connection {
 public:
  explicit connection(transit& all) : all_(all) {}
  ~connection() { reserve(0); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  http_request request;
  bool awaits_body = false;
  event_queue events;  // of a WebSocket

  // Takes its share of what may be on its way. False: there is no room; then nothing changed.
  bool reserve(std::size_t bytes);

  // Begins to write an answer, and writes more of it. 1: all is written. Negative: the connection is broken.
  int begin(lws*, const http_answer&, bool closes);
  int go_on(lws*);
  [[nodiscard]] bool is_answering() const { return !out_.empty(); }
  [[nodiscard]] bool closes() const { return closes_; }

 private:
  transit& all_;
  std::size_t reserved_ = 0;
  std::string out_;  // with room before it for the library
  std::size_t at_ = 0;
  bool closes_ = false;
};

// As the library has read it; the body is still to come.
[[nodiscard]] http_request request_of(lws*);
