#include "../engine.hpp"

namespace bench {

std::vector<engine_entry> lean_ring_entries() {
  const char* why = "not built in: liburing-dev was not there when the build was configured";
  return {{.name = "lean_ring", .absent = why}, {.name = "lean_ring_sigchld", .absent = why}};
}

}  // namespace bench
