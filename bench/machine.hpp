// What heads every report: the machine, its kernel, and how this was called.
#pragma once

#include <string>

#include "record.hpp"

namespace bench {

records head(const std::string& command_line);

}  // namespace bench
