#include "make/prepared_command.hpp"

#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include "os/c_library.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

class file_actions {
 public:
  file_actions() noexcept : error_(::posix_spawn_file_actions_init(&all_)) {}
  ~file_actions() {
    if (error_ == 0) ::posix_spawn_file_actions_destroy(&all_);
  }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;

  // errno. The directory is changed last: a file is where our working directory says, and the program where
  // cwd does.
  [[nodiscard]] int fill(const command& what, const child_stdio& stdio) noexcept {
    if (error_ != 0) return error_;
    if (int error = stdio.add_to(all_); error != 0) return error;
    if (!what.keep_descriptors) {
      if (int error = c_library::add_close_from(all_, STDERR_FILENO + 1); error != 0) return error;
    }
    return what.cwd.empty() ? 0 : ::posix_spawn_file_actions_addchdir_np(&all_, what.cwd.c_str());
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &all_; }

 private:
  posix_spawn_file_actions_t all_;
  int error_;
};

class attributes {
 public:
  attributes() noexcept : error_(::posix_spawnattr_init(&all_)) {}
  ~attributes() {
    if (error_ == 0) ::posix_spawnattr_destroy(&all_);
  }
  attributes(const attributes&) = delete;
  attributes& operator=(const attributes&) = delete;

  [[nodiscard]] int fill(const command& what, const sigset_t& mask) noexcept {
    if (error_ != 0) return error_;
    int flags = POSIX_SPAWN_SETSIGMASK;
    if (what.group == process_group::created)
      flags |= POSIX_SPAWN_SETPGROUP;  // group 0, by init: its own pid
    if (what.group == process_group::session) flags |= POSIX_SPAWN_SETSID;
    if (what.signals == child_signals::reset) {
      flags |= POSIX_SPAWN_SETSIGDEF;
      // Not by sigfillset, which leaves out 32 and 33, the C library's own: those would reach the program
      // ignored, since that is how posix_spawn keeps them from the child before its exec (seen with
      // glibc 2.36).
      sigset_t all;
      std::memset(&all, 0xff, sizeof all);
      if (int error = ::posix_spawnattr_setsigdefault(&all_, &all); error != 0) return error;
    }
    if (int error = ::posix_spawnattr_setsigmask(&all_, &mask); error != 0) return error;
    return ::posix_spawnattr_setflags(&all_, static_cast<short>(flags));
  }
  [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &all_; }

 private:
  posix_spawnattr_t all_;
  int error_;
};

bool has_nul(const std::string& text) noexcept { return text.find('\0') != std::string::npos; }

bool is_name(const std::string& text) noexcept {
  return !text.empty() && !has_nul(text) && text.find('=') == std::string::npos;
}

// As exec wants them; they point into what they were made of. exec changes none of them, whatever its type
// says.
void add_pointers(const std::vector<std::string>& strings, std::vector<char*>& to) {
  to.reserve(to.size() + strings.size() + 1);
  for (const std::string& one : strings) to.push_back(const_cast<char*>(one.c_str()));
}

const std::string& program_of(const command& what) noexcept {
  return what.program.empty() ? what.argv[0] : what.program;
}

// What execvp goes on after.
bool is_not_here(int error) noexcept {
  return error == ENOENT || error == ENOTDIR || error == ENODEV || error == ESTALE || error == ETIMEDOUT;
}

// errno. Of a directory access() says the same as of a program. (It asks for the real user; for the effective
// one there is faccessat2, which seccomp filters older than that call refuse.)
int executable(const std::string& path) noexcept {
  if (::access(path.c_str(), X_OK) != 0) return errno;
  struct ::stat found {};
  if (::stat(path.c_str(), &found) != 0) return errno;
  return S_ISDIR(found.st_mode) ? EACCES : 0;
}

}  // namespace

bool prepared_command::is_sound(const command& what) noexcept {
  auto is_sound_variable = [](const auto& one) { return is_name(one.first) && !has_nul(one.second); };
  return !what.argv.empty() && what.drain.count() >= 0 && std::ranges::none_of(what.argv, has_nul) &&
         !has_nul(what.program) && !has_nul(what.cwd) &&
         std::ranges::all_of(what.env.set, is_sound_variable) &&
         std::ranges::all_of(what.env.unset, is_name) && child_stdio::is_sound(what);
}

prepared_command::prepared_command(const command& what, moment when) : stdio(what), what_(what) {
  add_pointers(what.argv, argv_);
  argv_.push_back(nullptr);
  take_environment(when);
  if (program_of(what).find('/') == std::string::npos) {
    const char* path = ::getenv("PATH");
    path_ = path != nullptr ? path : "/bin:/usr/bin";  // as execvp has it
  }
  ::sigemptyset(&mask_);
  if (what.signals == child_signals::inherited) sys::thread_mask(SIG_BLOCK, nullptr, &mask_);
}

void prepared_command::take_environment(moment when) {
  const environment& wanted = what_.env;
  if (when == moment::now && wanted.inherit && wanted.set.empty() && wanted.unset.empty()) return;
  for (const auto& [name, value] : wanted.set) changed_.emplace_back(name).append(1, '=').append(value);
  add_pointers(changed_, environment_);
  for (char** one = environ; wanted.inherit && one != nullptr && *one != nullptr; ++one) {
    std::string_view text(*one);
    if (!wanted.set.empty() || !wanted.unset.empty()) {
      std::string name(text.substr(0, text.find('=')));
      if (wanted.set.contains(name) || std::ranges::find(wanted.unset, name) != wanted.unset.end()) continue;
    }
    environment_.push_back(*one);
    if (when == moment::later) copied_.append(text).append(1, '\0');
  }
  if (when == moment::later) {  // only now is it known where the copies stay
    char* copy = copied_.data();
    for (std::size_t at = changed_.size(); at < environment_.size(); ++at) {
      environment_[at] = copy;
      copy += std::strlen(copy) + 1;
    }
  }
  environment_.push_back(nullptr);
}

// The first executable of that name in PATH. Not by posix_spawnp, which reads PATH in the child, from the
// environment as it is then.
int prepared_command::find_program(std::string& out) const {
  const std::string& name = program_of(what_);
  out = name;
  if (name.find('/') != std::string::npos) return 0;
  if (name.empty()) return ENOENT;
  int error = ENOENT;
  for (std::size_t from = 0; from <= path_.size();) {
    std::size_t to = std::min(path_.find(':', from), path_.size());
    std::string_view directory(path_.data() + from, to - from);
    from = to + 1;
    if (directory.empty()) directory = ".";
    out.assign(directory).append(1, '/').append(name);
    // The child looks for it when it is in cwd.
    bool is_below = directory.front() != '/' && !what_.cwd.empty();
    int answer = executable(is_below ? what_.cwd + '/' + out : out);
    if (answer == 0) return 0;
    if (error != EACCES) error = answer;
    if (answer != EACCES && !is_not_here(answer)) return answer;
  }
  return error;
}

int prepared_command::make(pid_t* out) noexcept try {
  std::string program;
  if (int error = find_program(program); error != 0) return error;
  file_actions actions;
  attributes attributes;
  if (int error = actions.fill(what_, stdio); error != 0) return error;
  if (int error = attributes.fill(what_, mask_); error != 0) return error;

  // On failure the C library has waited for its own child already, so no zombie is left. What it then wrote
  // to the pid is left open by POSIX, so not to where the caller sees it.
  pid_t pid = 0;
  char* const* environment = environment_.empty() ? environ : environment_.data();
  int error =
      ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), argv_.data(), environment);
  if (error == 0) *out = pid;
  return error;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

}  // namespace uvreap
