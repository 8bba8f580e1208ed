#include "run_outcome.hpp"

#include <uv.h>

#include <algorithm>
#include <cstdint>

namespace {

constexpr std::uint64_t more_than_can_be_told = 101;

// What a shell would say of it; timeout(1) has 124, env(1) and sh have the other two.
int status_as_shell(const job_end& end) {
  if (end.error != 0) return end.error == UV_ENOENT ? 127 : 126;
  if (end.exit.timed_out) return 124;
  return end.exit.status.signaled() ? 128 + end.exit.status.term_signal()
                                    : std::max(0, end.exit.status.exit_code());
}

}  // namespace

void run_outcome::add(const job_end& end) { ++(end.failed() ? counts.failed : counts.done); }

void run_outcome::add_one(const job_end& end) {
  add(end);
  status_of_one = status_as_shell(end);
  if (end.error == 0 && end.exit.status.signaled()) signal_of_one = end.exit.status.term_signal();
}

void run_outcome::is_lost(const job_end& end) {
  if (end.failed()) return;
  --counts.done;
  ++counts.failed;
}

void run_outcome::add_list_error() {
  has_own_error = true;
  ++counts.list_errors;
}

int run_outcome::exit_status() const {
  if (has_own_error) return our_error;
  if (status_of_one) return *status_of_one;
  if (interrupted_by != 0) return 128 + interrupted_by;  // as a shell says it
  if (is_halted_by_success) return 0;
  return static_cast<int>(std::min(counts.failed, more_than_can_be_told));
}

int run_outcome::deadly_signal() const {
  if (status_of_one && signal_of_one != interrupted_by) return 0;  // it made something else of it
  return interrupted_by;
}
