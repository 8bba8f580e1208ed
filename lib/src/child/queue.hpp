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
  bool unlink() noexcept {  // false: it was in no queue
    if (next_ == this) return false;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
    return true;
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

  bool push_back(Item& item) noexcept {  // false: it is in one of this kind already, and stays there
    hook<Tag>& one = item;
    if (one.next_ != &one) return false;
    one.prev_ = ends_.prev_;
    one.next_ = &ends_;
    ends_.prev_->next_ = &one;
    ends_.prev_ = &one;
    return true;
  }

  Item* pop_front() noexcept {  // null: it is empty
    hook<Tag>* first = ends_.next_;
    if (first == &ends_) return nullptr;
    ends_.next_ = first->next_;
    first->next_->prev_ = &ends_;
    first->prev_ = first->next_ = first;
    return static_cast<Item*>(first);
  }

  void move_to_end_of(queue& other) noexcept {
    if (ends_.next_ == &ends_) return;
    ends_.next_->prev_ = other.ends_.prev_;
    other.ends_.prev_->next_ = ends_.next_;
    ends_.prev_->next_ = &other.ends_;
    other.ends_.prev_ = ends_.prev_;
    ends_.prev_ = ends_.next_ = &ends_;
  }

 private:
  hook<Tag> ends_;
};

}  // namespace uvreap
