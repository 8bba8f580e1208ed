#include "child/agenda.hpp"

#include <utility>

namespace uvreap {

entry::entry() {
  nodes maker;
  node_ = maker.extract(maker.emplace(0, this));
}

void entry::cancel() noexcept {
  if (on_ == nullptr) return;
  node_ = std::exchange(on_, nullptr)->entries_.extract(at_);
}

void agenda::set(entry& one, std::uint64_t at_ms) noexcept {
  one.cancel();
  one.node_.key() = at_ms;
  one.at_ = entries_.insert(std::move(one.node_));
  one.on_ = this;
}

std::uint64_t agenda::next_ms() const noexcept {
  return entries_.empty() ? alarm::never : entries_.begin()->first;
}

}  // namespace uvreap
