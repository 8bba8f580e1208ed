// Rounds over children, some at a time, over as many turns as the budget makes of it.
//
// The queue turns: who is taken goes to its end, and as many are taken as were in it at the beginning.
// Children may come and go meanwhile; then some are taken twice, and none that stays is passed over. What is
// asked for during a round (a notice came: a child that was taken may have ended since) makes another round
// after it.
#pragma once

#include "child/child.hpp"

namespace uvreap {

template <class Tag>
class round {
 public:
  void add(child& one) noexcept {
    if (all_.push_back(one)) ++size_;
  }
  void remove(child& one) noexcept {
    if (static_cast<hook<Tag>&>(one).unlink()) --size_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] child& turn() noexcept {  // of one that is not empty
    child* first = all_.pop_front();
    all_.push_back(*first);
    return *first;
  }

  void ask(notice why) noexcept {
    if (size_ == 0 || asked_) return;
    asked_ = true;
    why_next_ = why;
  }
  [[nodiscard]] bool is_under_way() const noexcept { return size_ != 0 && (left_ != 0 || asked_); }

  void take(look_queue& out, std::size_t limit) noexcept {
    if (left_ == 0 && asked_) {
      asked_ = false;
      left_ = size_;
      why_ = why_next_;
    }
    for (; left_ != 0 && limit != 0 && size_ != 0; --left_, --limit) name(turn(), why_, out);
    if (size_ == 0) left_ = 0;
  }

 private:
  queue<child, Tag> all_;
  std::size_t size_ = 0;
  std::size_t left_ = 0;
  bool asked_ = false;
  notice why_ = notice::poller;
  notice why_next_ = notice::poller;
};

}  // namespace uvreap
