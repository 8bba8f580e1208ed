// What changed between two runs, beyond noise.
#pragma once

#include <iosfwd>

#include "record.hpp"

namespace bench {

// Prints each figure whose median moved by more than 3 % and whose rounds lie so far apart by chance in at
// most 3 % of the cases, the largest change first. Of a time it is the ratio to the base engine of the same
// round that is judged, where both runs have it, since the machine may be faster today; other figures, and
// those of the base, are judged as they are. Figures with fewer than four rounds in one of the runs are not
// judged. The number of changes.
int compare(std::ostream&, const records& before, const records& after);

}  // namespace bench
