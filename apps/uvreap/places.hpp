// How many jobs run at once, as -j says it.
#pragma once

#include <optional>
#include <string_view>

constexpr int most_places = 100'000;

// "4"; "+2": so many more than there are CPUs; "50%" of the CPUs, but at least one; "0": as many as there is
// room for. Empty: it is none of these.
[[nodiscard]] std::optional<int> places_from(std::string_view text, int cpus);
