// GET /v1/events: what happens is told to everybody who listens, as server-sent events. What a client is
// still to be told is bounded: of one that reads too slowly the oldest events are dropped, and it is told how
// many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "http.hpp"

class events {
 public:
  void tell(const char* event, const std::string& line);  // line: JSON, with its end

  [[nodiscard]] std::unique_ptr<body_stream> listen();  // must not outlive this

  [[nodiscard]] std::size_t listeners() const { return listeners_.size(); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  [[nodiscard]] bool is_idle() const;  // everybody has been told everything
  void end();                          // of all streams, once they are told

 private:
  class listener;
  std::set<listener*> listeners_;
  std::uint64_t dropped_ = 0;
  bool is_over_ = false;
};
