#include "child/children.hpp"

#include <new>
#include <utility>

namespace uvreap {

void children::make_room() noexcept try {
  if (size_ < buckets_.size()) return;
  std::vector<child*> old(buckets_.size() * 2);
  old.swap(buckets_);
  size_ = 0;
  for (child* one : old) {
    while (one != nullptr) {
      child* next = std::exchange(one->next_of_bucket, nullptr);
      add(std::unique_ptr<child>(one));
      one = next;
    }
  }
} catch (const std::bad_alloc&) {
}

child& children::add(std::unique_ptr<child> one) noexcept {
  child** place = &buckets_[static_cast<std::size_t>(one->id.pid) & (buckets_.size() - 1)];
  while (*place != nullptr) place = &(*place)->next_of_bucket;
  one->next_of_bucket = nullptr;
  *place = one.release();
  ++size_;
  return **place;
}

std::unique_ptr<child> children::remove(child& one) noexcept {
  child** place = &buckets_[static_cast<std::size_t>(one.id.pid) & (buckets_.size() - 1)];
  while (*place != &one) place = &(*place)->next_of_bucket;
  *place = one.next_of_bucket;
  --size_;
  return std::unique_ptr<child>(&one);
}

std::unique_ptr<child> children::remove_any() noexcept {
  if (size_ == 0) return nullptr;
  while (buckets_[emptied_to_ &= buckets_.size() - 1] == nullptr) ++emptied_to_;
  return remove(*buckets_[emptied_to_]);
}

child* children::find(pid_t pid, std::uint64_t serial) const noexcept {
  child* one = buckets_[static_cast<std::size_t>(pid) & (buckets_.size() - 1)];
  while (one != nullptr && (one->id.pid != pid || (serial != 0 && one->serial != serial)))
    one = one->next_of_bucket;
  return one;
}

child* children::find_reserved(pid_t pid) const noexcept {
  child* youngest = nullptr;
  for (child* one = find(pid); one != nullptr; one = one->next_of_bucket) {
    if (one->id.pid == pid && !one->unclaimed && one->is_reserved()) youngest = one;
  }
  return youngest;
}

bool children::has_watched(pid_t pid) const noexcept {
  child* one = find(pid);
  while (one != nullptr && (one->id.pid != pid || one->unclaimed || one->error != 0))
    one = one->next_of_bucket;
  return one != nullptr;
}

}  // namespace uvreap
