// How many children this machine, this user and this process may have.
#pragma once

#include <string>

namespace bench {

struct limit {
  std::string name;  // as its documentation has it
  long most = 0;     // children that still fit, beside what runs now
};

// The lowest of pid_max, threads-max, RLIMIT_NPROC (not for root) and the cgroups' pids.max.
limit children_limit();

// How many children an engine may have that holds this many descriptors for each. Hard limit: the soft one is
// raised.
limit descriptor_limit(int descriptors_per_child);

// Empty, or which limit is in the way and how far one can go.
std::string too_many(long children, const limit&);

}  // namespace bench
