#include "../engine.hpp"

namespace bench {

std::vector<engine_entry> sd_event_entries() {
  return {{.name = "sd_event",
           .absent = "not built in: libsystemd-dev was not there when the build was configured"}};
}

}  // namespace bench
