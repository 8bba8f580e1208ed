#include "../engine.hpp"

namespace bench {

std::vector<engine_entry> libev_entries() {
  return {{.name = "libev", .absent = "not built in: libev-dev was not there when the build was configured"}};
}

}  // namespace bench
