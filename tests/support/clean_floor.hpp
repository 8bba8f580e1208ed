// For tests without a reaper: at their end no child is left, and no descriptor more than at their beginning.
#pragma once

#include <doctest/doctest.h>

#include "children.hpp"

namespace test {

class clean_floor {
 public:
  clean_floor() = default;
  ~clean_floor() {
    CHECK_MESSAGE(children().empty(), "a child is left");
    clean_up_children();
    CHECK(open_descriptors() == descriptors_);
  }
  clean_floor(const clean_floor&) = delete;
  clean_floor& operator=(const clean_floor&) = delete;

 private:
  int descriptors_ = open_descriptors();
};

}  // namespace test
