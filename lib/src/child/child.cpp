#include "child/child.hpp"

#include <atomic>
#include <utility>

#include "child/captured_output.hpp"

namespace uvreap {
namespace {

std::uint64_t next_serial() noexcept {
  static std::atomic<std::uint64_t> last{0};  // records are made on other threads, too
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

deadline::deadline(child* owner, const watch_options& options)
    : whose(owner),
      after_ms(static_cast<std::uint64_t>(options.timeout.count())),
      grace_ms(static_cast<std::uint64_t>(options.grace.count())) {}

child::child(watch_options options, callback wanted)
    : serial(next_serial()), tell(std::move(wanted)), ref(options.ref) {
  if (options.on_change) on_change = std::make_unique<change_callback>(std::move(options.on_change));
  if (options.timeout.count() != 0) due = std::make_unique<deadline>(this, options);
}

child::~child() = default;

bool child::is_deliverable() const noexcept {
  if (output != nullptr && !output->has_ended()) return false;
  return unclaimed || detached || tell;
}

void child::take_over(child& from) noexcept {
  std::swap(serial, from.serial);
  std::swap(tell, from.tell);
  std::swap(on_change, from.on_change);
  std::swap(due, from.due);
  if (due != nullptr) due->whose = this;
  if (output != nullptr) output->renamed(serial);
  ref = from.ref;
  detached = false;
  change = {};  // the one that waited was for the older watch
  leave<ready_tag>();
}

child_exit child::exit() noexcept {
  child_exit made{.pid = id.pid,
                  .lost = lost,
                  .recovered = recovered,
                  .timed_out = timed_out,
                  .status = status,
                  .usage = usage,
                  .noticed_by = noticed_by};
  made.error = error;
  if (output != nullptr) output->hand_over(made);
  return made;
}

}  // namespace uvreap
