#include "child/watch_table.hpp"

#include <algorithm>
#include <utility>

namespace uvreap {

watch::watch(watch_options options, callback told)
    : tell(std::move(told)),
      deadline_ms(static_cast<std::uint64_t>(options.timeout.count())),
      grace_ms(static_cast<std::uint32_t>(std::min<std::int64_t>(options.grace.count(), UINT32_MAX))),
      ref(options.ref) {
  if (options.on_change) {
    changes = std::make_shared<change_listener>(change_listener{.tell = std::move(options.on_change)});
  }
}

void watch::mute() noexcept {
  if (changes) changes->muted = true;
}

void watch::leave_to_the_loop() noexcept {
  if (output) output->leave_to_the_loop();
}

watch_table::place watch_table::reserve(watch& what) {
  std::map<pid_t, watch> maker;
  maker.emplace(0, watch{});
  place made = maker.extract(maker.begin());
  made.mapped() = std::move(what);
  return made;
}

void watch_table::bind(place reserved, pid_t pid) noexcept {
  reserved.key() = pid;
  auto result = watches_.insert(std::move(reserved));
  if (result.inserted && result.position->second.holds_the_loop()) ++holding_;
}

watch* watch_table::find(pid_t pid) noexcept {
  auto found = watches_.find(pid);
  return found == watches_.end() ? nullptr : &found->second;
}

void watch_table::replace(watch& there, watch with) noexcept {
  if (there.holds_the_loop()) --holding_;
  if (with.holds_the_loop()) ++holding_;
  std::swap(there, with);  // what was there is destroyed last: a callback's captures may call back into us
}

void watch_table::clear() noexcept {
  std::map<pid_t, watch> gone;
  gone.swap(watches_);
  holding_ = 0;
  for (auto& [pid, watched] : gone) watched.mute();
}

void watch_table::leave_to_the_loop() noexcept {
  for (auto& [pid, watched] : watches_) watched.leave_to_the_loop();
}

watch watch_table::take(pid_t pid) noexcept {
  auto node = watches_.extract(pid);
  if (node.mapped().holds_the_loop()) --holding_;
  return std::move(node.mapped());
}

}  // namespace uvreap
