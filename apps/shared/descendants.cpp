#include "descendants.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

std::string proc(pid_t pid) { return "/proc/" + std::to_string(pid); }

// Empty, too, if there is no such file.
std::string contents(const std::string& path) {
  std::string text;
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char part[4096];
  ssize_t length = 0;
  while ((length = ::read(file, part, sizeof part)) > 0) text.append(part, static_cast<std::size_t>(length));
  ::close(file);
  return text;
}

void add_children(pid_t parent, std::vector<pid_t>& found) {
  std::string threads = proc(parent) + "/task";
  DIR* directory = ::opendir(threads.c_str());
  if (directory == nullptr) return;
  while (const dirent* thread = ::readdir(directory)) {
    if (thread->d_name[0] == '.') continue;
    std::string children = contents(threads + '/' + thread->d_name + "/children");
    for (char* next = children.data(); *next != '\0';) {
      char* end = nullptr;
      long child = std::strtol(next, &end, 10);
      if (end == next) break;
      found.push_back(static_cast<pid_t>(child));
      next = *end == ' ' ? end + 1 : end;
    }
  }
  ::closedir(directory);
}

pid_t parent_of(pid_t pid) {
  std::string text = contents(proc(pid) + "/stat");
  auto name_end = text.rfind(')');  // the name may hold anything, ')' too
  if (name_end == std::string::npos) return -1;
  auto parent = text.find_first_of("0123456789", name_end);  // a letter stands before it
  return parent == std::string::npos ? -1 : static_cast<pid_t>(std::strtol(&text[parent], nullptr, 10));
}

// Without a child there is no descendant. The kernel says so at once, while /proc has to be read.
bool has_child() {
  siginfo_t none{};
  return ::waitid(P_ALL, 0, &none, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

}  // namespace

std::vector<descendant> descendants(const std::vector<pid_t>& without) {
  std::vector<descendant> found;
  if (!has_child()) return found;
  std::vector<pid_t> parents{::getpid()};
  while (!parents.empty()) {
    pid_t parent = parents.back();
    parents.pop_back();
    std::vector<pid_t> children;
    add_children(parent, children);
    std::erase_if(children, [&](pid_t child) { return std::ranges::find(without, child) != without.end(); });
    for (pid_t child : children) found.push_back({child, parent});
    parents.insert(parents.end(), children.begin(), children.end());
  }
  return found;
}

// A child of ours keeps its number until we reap it. Anybody else may end between the reading and the signal,
// and its number be a stranger's: so it is held first, and then asked for its parent again, which may be us
// by now.
void send_to(const descendant& one, int signum) {
  if (one.parent == ::getpid()) {
    ::kill(one.pid, signum);
    return;
  }
  int held = static_cast<int>(::syscall(SYS_pidfd_open, one.pid, 0));
  if (held < 0) return;  // gone; or refused here: it will be ours when its parent has ended
  pid_t parent = parent_of(one.pid);
  if (parent == one.parent || parent == ::getpid()) {
    ::syscall(SYS_pidfd_send_signal, held, signum, nullptr, 0);
  }
  ::close(held);
}
