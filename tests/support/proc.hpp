// What /proc says of another process, right now.
#pragma once

#include <sys/types.h>

#include <fstream>
#include <set>
#include <string>

namespace test {

// 'R', 'S', 'T', 'Z' and so on, as proc(5) has them; '-': there is no such process.
inline char state_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  auto name_end = text.rfind(')');  // the name may hold anything
  return name_end == std::string::npos ? '-' : text[name_end + 2];
}

// Of one thread: of a process's main one, where orphans come, too, by its pid. Zombies are among them.
inline std::set<pid_t> children_of(pid_t thread) {
  std::string number = std::to_string(thread);
  std::ifstream list("/proc/" + number + "/task/" + number + "/children");
  std::set<pid_t> found;
  for (pid_t child = 0; list >> child;) found.insert(child);
  return found;
}

}  // namespace test
