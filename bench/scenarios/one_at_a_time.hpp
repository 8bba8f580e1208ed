// One exit at a time beside the live children: what latency and growth have in common.
#pragma once

#include "../cell.hpp"

namespace bench {

void measure_one_at_a_time(cell&, int samples);

}  // namespace bench
