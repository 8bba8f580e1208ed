// What a job wrote, read from the store as the body of an answer: a part of it, or all that comes until its
// end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "http.hpp"
#include "store.hpp"

class output_reader final : public body_stream {
 public:
  output_reader(const store& store, std::int64_t number, stream which, std::size_t from,
                std::optional<std::size_t> to)
      : store_(store), number_(number), which_(which), at_(from), to_(to) {
    if (to) length = *to - from;
  }
  ~output_reader() override { on_gone(); }

  std::function<void()> on_gone = [] {};

  // Nothing more comes than these bytes.
  void end_at(std::size_t to) {
    to_ = to;
    wake();
  }
  [[nodiscard]] stream which() const { return which_; }

  ssize_t read(char* room, std::size_t size) override {
    if (to_ && at_ >= *to_) return end;
    std::size_t length = store_.read(number_, which_, at_, room, size);
    at_ += length;
    if (length > 0) return static_cast<ssize_t>(length);
    return to_ ? broken : 0;  // the job was forgotten meanwhile, or it has not written more yet
  }

 private:
  const store& store_;
  std::int64_t number_;
  stream which_;
  std::size_t at_;
  std::optional<std::size_t> to_;  // empty: it runs
};
