#include "engine.hpp"

namespace bench {

const std::vector<engine_entry>& engine_catalogue() {
  static const std::vector<engine_entry> all = [] {
    std::vector<engine_entry> gathered;
    for (auto* entries : {floor_entries, uvreap_entries, by_hand_entries, lean_epoll_entries,
                          lean_ring_entries, uv_spawn_entries, libev_entries, glib_entries, sd_event_entries,
                          wait_any_loop_entries, wait_each_entries, program_entries}) {
      for (auto& entry : entries()) gathered.push_back(std::move(entry));
    }
    return gathered;
  }();
  return all;
}

}  // namespace bench
