// What a WebSocket client is still to be told. It is bounded: of a client that reads too slowly the oldest
// events are dropped, and it is told how many.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

class event_queue {
 public:
  using text = std::shared_ptr<const std::string>;  // one for all clients
  static constexpr std::size_t longest = 1000;

  // False: an older one was dropped for it.
  bool push(text event) {
    bool has_room = events_.size() < longest;
    if (!has_room) {
      events_.pop_front();
      ++dropped_;
    }
    events_.push_back(std::move(event));
    return has_room;
  }

  [[nodiscard]] bool is_empty() const { return events_.empty(); }

  text pop() {
    if (dropped_ > 0) {
      auto said =
          std::make_shared<std::string>(R"({"event":"dropped","count":)" + std::to_string(dropped_) + "}\n");
      dropped_ = 0;
      return said;
    }
    text first = std::move(events_.front());
    events_.pop_front();
    return first;
  }

 private:
  std::deque<text> events_;
  std::uint64_t dropped_ = 0;
};
