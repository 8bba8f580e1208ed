// The speed of the core as one table: what is measured for it, and what each figure must reach.
// docs/speed.md.
#pragma once

#include <iosfwd>

#include "record.hpp"
#include "runner.hpp"

namespace bench {

plan speed_plan();
void print_speed(std::ostream&, const records&);

}  // namespace bench
