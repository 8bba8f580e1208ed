// The soft limit of open descriptors: raised for the server, and not for the jobs.
#pragma once

#include <sys/resource.h>

#include <string>

namespace descriptor_limit {

// Empty, or why it cannot be as high.
[[nodiscard]] std::string raise(rlim_t needed);

// What it was before that.
[[nodiscard]] const rlimit& original();

// While it lives, the limit is the original one, for a child to be made with. What is open stays open.
class lowered {
 public:
  lowered();
  ~lowered();
  lowered(const lowered&) = delete;
  lowered& operator=(const lowered&) = delete;

 private:
  rlimit raised_{};
};

}  // namespace descriptor_limit
