// What changed between two runs, beyond noise.
#pragma once

#include <iosfwd>

#include "record.hpp"

namespace bench {

// Prints each figure whose rounds do not overlap with the other run's and whose median moved by more than
// 3 %, the largest change first, and what it is against the base engine of the same run. Figures with fewer
// than four rounds in one of the runs are not judged. The number of changes.
int compare(std::ostream&, const records& before, const records& after);

}  // namespace bench
