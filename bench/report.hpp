// The report on the terminal: what it was measured on, and a table for each scenario and number of live
// children.
#pragma once

#include <iosfwd>

#include "record.hpp"

namespace bench {

void print_report(std::ostream&, const records&);

// What the tables show, and the head: of some ten quantiles a cell has, the report has four.
records in_report(const records&);

}  // namespace bench
