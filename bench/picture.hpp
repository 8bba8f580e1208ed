// The README's picture: exit to callback against live children, as SVG.
//
// At most seven lines, each labelled at its end, uvreap's two thick. No ground and no black or white, so that
// it reads on a light page and on a dark one: an image does not know which theme its page has.
#pragma once

#include <string>

#include "record.hpp"

namespace bench {

// Of the scenario latency; empty if it has no line in it.
std::string picture_of(const records&);

}  // namespace bench
