// Pictures of a run as SVG files: latency.svg, which the README shows, and the others by gnuplot, with the
// data and the script that made each beside it.
#pragma once

#include <string>

#include "record.hpp"

namespace bench {

// Empty, or why there are no pictures (gnuplot is not here, say): then the scripts are there all the same.
std::string plot(const records&, const std::string& directory);

}  // namespace bench
