// What a child used, as wait4(2) tells it when the child is reaped; it cannot be had afterwards.
//
//     std::cout << exit.usage.user_time.count() << " us, " << exit.usage.max_rss_bytes << " bytes\n";
//
// It includes what the child itself had waited for (its own reaped children), and nothing of those it had
// not. WARNING: on Linux max_rss_bytes is at least what the parent had resident when it forked, since the
// copy counts until exec (exec keeps the mark): a small child of a big server looks big.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>

#include "uvreap/export.hpp"

struct rusage;

namespace uvreap {

struct UVREAP_API resource_usage {
  std::chrono::microseconds user_time{0};
  std::chrono::microseconds system_time{0};
  std::int64_t max_rss_bytes = 0;  // bytes on every system; the kernel's own unit is KiB on Linux
  std::int64_t minor_faults = 0;
  std::int64_t major_faults = 0;
  std::int64_t voluntary_switches = 0;
  std::int64_t involuntary_switches = 0;
  std::int64_t blocks_in = 0;  // of 512 bytes
  std::int64_t blocks_out = 0;

  [[nodiscard]] static resource_usage from(const ::rusage&) noexcept;

  friend bool operator==(const resource_usage&, const resource_usage&) noexcept = default;
};

UVREAP_API std::ostream& operator<<(std::ostream&, const resource_usage&);

}  // namespace uvreap
