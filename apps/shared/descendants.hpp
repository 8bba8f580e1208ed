// Every process that descends from us; from a subreaper (prctl(2)) those, too, whose parents have ended.
#pragma once

#include <sys/types.h>

#include <vector>

struct descendant {
  pid_t pid;
  pid_t parent;
};

// But for those of `without`, and who descends from them.
[[nodiscard]] std::vector<descendant> descendants(const std::vector<pid_t>& without = {});

void send_to(const descendant&, int signum);  // and to nobody else who has got its number
