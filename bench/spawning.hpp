// Spawning on the loop and off it as one table: what is measured for it, and what each figure must reach.
// docs/spawning.md.
#pragma once

#include <iosfwd>

#include "record.hpp"
#include "runner.hpp"

namespace bench {

plan spawning_plan();
void print_spawning(std::ostream&, const records&);

}  // namespace bench
