#include "child/agenda.hpp"

#include <utility>

namespace uvreap {

entry::entry() {
  nodes maker;
  node_ = maker.extract(maker.emplace(0, this));
}

void entry::cancel() noexcept {
  if (on_ == nullptr) return;
  agenda& left = *std::exchange(on_, nullptr);
  node_ = left.entries_.extract(at_);
  left.note_first();
}

void agenda::set(entry& one, std::uint64_t at_ms) noexcept {
  one.cancel();
  one.node_.key() = at_ms;
  one.at_ = entries_.insert(std::move(one.node_));
  one.on_ = this;
  note_first();
}

void agenda::note_first() noexcept { next_ms = entries_.empty() ? alarm::never : entries_.begin()->first; }

}  // namespace uvreap
