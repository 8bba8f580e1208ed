#include "child/agenda.hpp"

#include <utility>

namespace uvreap {

entry::entry() {
  nodes maker;
  node_ = maker.extract(maker.emplace(0, this));
}

void entry::cancel() noexcept {
  if (on_ == nullptr) return;
  node_ = on_->entries_.extract(at_);
  std::exchange(on_, nullptr)->set_alarm();
}

void agenda::set(entry& one, std::uint64_t at_ms) noexcept {
  if (one.on_ != nullptr) one.node_ = one.on_->entries_.extract(one.at_);
  one.node_.key() = at_ms;
  one.at_ = entries_.insert(std::move(one.node_));
  one.on_ = this;
  set_alarm();
}

bool agenda::is_due() const noexcept {
  return !entries_.empty() && entries_.begin()->first <= alarm::now_ms();
}

}  // namespace uvreap
