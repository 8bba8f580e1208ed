// What init writes. It never waits for a reader, never takes a thread (the pid limit may be used up) and is
// ended by no error: what does not fit is dropped, counted, and said as soon as something fits again.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pid1 {

class writer {
 public:
  // The descriptor stays the caller's. name: what a line of its own begins with.
  writer(int descriptor, std::string name);

  // One line, the name before it and its end behind it.
  void say(const std::string& line);
  // All of it or nothing is taken, and what is taken goes out before anything later does. Waits for a slow
  // reader at most so long. False: dropped, or not out yet.
  bool write(std::string_view text, std::chrono::milliseconds patience = {});
  // For the end, when there is nothing else to do: what was taken, and how much was not, goes out.
  void finish(std::chrono::milliseconds patience);

  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  [[nodiscard]] int error() const { return error_; }  // errno of the last write; EAGAIN: it did not fit

 private:
  [[nodiscard]] bool put_rest();
  [[nodiscard]] bool put_gap();
  [[nodiscard]] bool put(std::string_view text);
  [[nodiscard]] long try_write(std::string_view text);

  enum class kind { unknown, file, socket, stream, device };
  static kind kind_of(int descriptor);

  int descriptor_;
  std::string name_;
  kind kind_ = kind::unknown;
  std::string rest_;  // of a line that went out in part
  std::uint64_t dropped_ = 0;
  std::uint64_t told_ = 0;  // of the dropped
  int error_ = 0;
};

}  // namespace pid1
