#include "uvreap/child_exit.hpp"

#include <sys/resource.h>

#include <ostream>

namespace uvreap {
namespace {

std::chrono::microseconds duration(const timeval& time) noexcept {
  return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

}  // namespace

resource_usage resource_usage::from(const ::rusage& usage) noexcept {
  return {.user_time = duration(usage.ru_utime),
          .system_time = duration(usage.ru_stime),
          .max_rss_bytes = std::int64_t{usage.ru_maxrss} * 1024,  // KiB: getrusage(2)
          .minor_faults = usage.ru_minflt,
          .major_faults = usage.ru_majflt,
          .voluntary_switches = usage.ru_nvcsw,
          .involuntary_switches = usage.ru_nivcsw,
          .blocks_in = usage.ru_inblock,
          .blocks_out = usage.ru_oublock};
}

std::ostream& operator<<(std::ostream& out, const resource_usage& usage) {
  return out << "user " << usage.user_time.count() << " us, system " << usage.system_time.count()
             << " us, max RSS " << usage.max_rss_bytes / 1024 << " KiB, faults " << usage.minor_faults << '+'
             << usage.major_faults << ", switches " << usage.voluntary_switches << '+'
             << usage.involuntary_switches << ", blocks " << usage.blocks_in << '+' << usage.blocks_out;
}

}  // namespace uvreap
