#include "../engine.hpp"

namespace bench {

std::vector<engine_entry> glib_entries() {
  return {
      {.name = "glib", .absent = "not built in: libglib2.0-dev was not there when the build was configured"}};
}

}  // namespace bench
