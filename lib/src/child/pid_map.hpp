// What an index knows of each child, by pid, with room made ahead: arming must not fail half-way for want of
// memory.
#pragma once

#include <sys/types.h>

#include <map>
#include <new>
#include <utility>

namespace uvreap {

template <class Value>
class pid_map {
 public:
  [[nodiscard]] bool make_room() noexcept try {
    if (spare_) return true;
    std::map<pid_t, Value> maker;
    maker.emplace(0, Value{});
    spare_ = maker.extract(maker.begin());
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }

  // In the room that was made, or that the last remove() left.
  void add(pid_t pid, Value value) noexcept {
    if (Value* there = find(pid)) {
      *there = value;
      return;
    }
    spare_.key() = pid;
    spare_.mapped() = value;
    map_.insert(std::move(spare_));
  }

  void remove(pid_t pid) noexcept {
    if (auto node = map_.extract(pid)) spare_ = std::move(node);
  }

  [[nodiscard]] Value* find(pid_t pid) noexcept {
    auto found = map_.find(pid);
    return found == map_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] pid_t first_above(pid_t pid) const noexcept {  // 0: none
    auto found = map_.upper_bound(pid);
    return found == map_.end() ? 0 : found->first;
  }

  [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }
  [[nodiscard]] auto begin() const noexcept { return map_.begin(); }
  [[nodiscard]] auto end() const noexcept { return map_.end(); }

 private:
  std::map<pid_t, Value> map_;
  typename std::map<pid_t, Value>::node_type spare_;
};

}  // namespace uvreap
