// Intrusive queues: a hook is a base class of what is queued, and takes itself out where it is destroyed.
//
// They own nothing and allocate nothing, so queueing cannot fail once a child is there; and code that runs
// while a queue is worked off may take anything out of it. Who works one off pops the head before it runs
// foreign code.
#pragma once

namespace uvreap {

template <class Tag>
class hook {
 public:
  hook() noexcept = default;
  ~hook() { unlink(); }
  hook(const hook&) = delete;
  hook& operator=(const hook&) = delete;

  [[nodiscard]] bool is_linked() const noexcept { return next_ != this; }
  void unlink() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }

 private:
  template <class, class>
  friend class queue;

  hook* prev_ = this;
  hook* next_ = this;
};

template <class Item, class Tag>
class queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return ends_.next_ == &ends_; }
  [[nodiscard]] Item& front() const noexcept { return static_cast<Item&>(*ends_.next_); }

  void push_back(Item& item) noexcept {
    hook<Tag>& one = item;
    one.unlink();
    one.prev_ = ends_.prev_;
    one.next_ = &ends_;
    ends_.prev_->next_ = &one;
    ends_.prev_ = &one;
  }

  Item& pop_front() noexcept {  // of a queue that is not empty
    hook<Tag>& first = *ends_.next_;
    first.unlink();
    return static_cast<Item&>(first);
  }

  void move_to_front_of(queue& other) noexcept {
    if (empty()) return;
    ends_.prev_->next_ = other.ends_.next_;
    other.ends_.next_->prev_ = ends_.prev_;
    ends_.next_->prev_ = &other.ends_;
    other.ends_.next_ = ends_.next_;
    ends_.prev_ = ends_.next_ = &ends_;
  }

 private:
  hook<Tag> ends_;
};

}  // namespace uvreap
