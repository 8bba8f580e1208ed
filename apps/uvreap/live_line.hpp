// How far a run is, in one line: a bar, how many of how many jobs, failures, rate, time left, and the jobs
// that have run for longest.
//
//     [######------------] 12 of 40, 1 failed, 3.2/s, 9.0 s left | 12 s sleep 600 | 3.1 s ./build.sh
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "run_report.hpp"

// No wider than so many columns of a terminal.
[[nodiscard]] std::string live_line(const run_totals&, std::size_t columns, bool in_colour);

// The same for a log: whole, and without the bar.
[[nodiscard]] std::string progress_text(const run_totals&);

// As much of it as fits, by the width of each character: none for a combining one, two for a wide one. In the
// locale of this process, which has to be one of UTF-8.
[[nodiscard]] std::string_view first_columns(std::string_view, std::size_t most);
