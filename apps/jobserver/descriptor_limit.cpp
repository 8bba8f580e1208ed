#include "descriptor_limit.hpp"

#include <cerrno>
#include <cstring>

namespace descriptor_limit {
namespace {

rlimit of_the_process() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

}  // namespace

const rlimit& original() {
  static const rlimit first = of_the_process();
  return first;
}

std::string raise(rlim_t needed) {
  rlimit limit = original();
  if (limit.rlim_cur >= needed) return {};
  if (limit.rlim_max < needed) {
    return "--max-clients and --max-jobs need " + std::to_string(needed) + " descriptors, the limit is " +
           std::to_string(limit.rlim_max);
  }
  limit.rlim_cur = needed;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return {};
  return std::string("cannot raise the limit of descriptors: ") + std::strerror(errno);
}

lowered::lowered() : raised_(of_the_process()) { ::setrlimit(RLIMIT_NOFILE, &original()); }
lowered::~lowered() { ::setrlimit(RLIMIT_NOFILE, &raised_); }

}  // namespace descriptor_limit
