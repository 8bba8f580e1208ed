// When no more jobs begin: --halt, as GNU parallel has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

struct halt_rule {
  enum class count { failed, succeeded, ended };

  std::uint64_t after = 0;  // so many; 0: never
  bool is_percent = false;  // of the list's jobs
  count of = count::failed;
  bool ends_running = false;  // what runs is ended, too

  // Throws std::invalid_argument, with what would be right.
  [[nodiscard]] static halt_rule from(const std::string& text);

  // jobs: of the list; empty: not known yet.
  [[nodiscard]] bool is_met(std::uint64_t failed, std::uint64_t succeeded,
                            std::optional<std::uint64_t> jobs) const;
};
