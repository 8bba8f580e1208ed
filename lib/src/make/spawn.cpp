#include "uvreap/process.hpp"

#include <signal.h>
#include <spawn.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

#include "make/stdio.hpp"
#include "os/always_assert.hpp"

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
      if (int error = ::posix_spawn_file_actions_addclosefrom_np(&all_, STDERR_FILENO + 1); error != 0)
        return error;
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

  [[nodiscard]] int fill(const command& what) noexcept {
    if (error_ != 0) return error_;
    int flags = 0;
    if (what.group == process_group::created)
      flags |= POSIX_SPAWN_SETPGROUP;  // group 0, by init: its own pid
    if (what.group == process_group::session) flags |= POSIX_SPAWN_SETSID;
    if (what.signals == child_signals::reset) {
      flags |= POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
      sigset_t none;
      ::sigemptyset(&none);
      // Not by sigfillset, which leaves out 32 and 33, the C library's own: those would reach the program
      // ignored, since that is how posix_spawn keeps them from the child before its exec (seen with
      // glibc 2.36).
      sigset_t all;
      std::memset(&all, 0xff, sizeof all);
      if (int error = ::posix_spawnattr_setsigmask(&all_, &none); error != 0) return error;
      if (int error = ::posix_spawnattr_setsigdefault(&all_, &all); error != 0) return error;
    }
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

bool is_sound(const command& what) noexcept {
  auto is_sound_variable = [](const auto& one) { return is_name(one.first) && !has_nul(one.second); };
  return !what.argv.empty() && std::ranges::none_of(what.argv, has_nul) && !has_nul(what.program) &&
         !has_nul(what.cwd) && std::ranges::all_of(what.env.set, is_sound_variable) &&
         std::ranges::all_of(what.env.unset, is_name) && child_stdio::is_sound(what);
}

// As exec wants them; they point into what they were made of. exec changes none of them, whatever its type
// says.
using pointers = std::vector<char*>;

pointers pointers_to(const std::vector<std::string>& strings) {
  pointers made;
  made.reserve(strings.size() + 1);
  for (const std::string& one : strings) made.push_back(const_cast<char*>(one.c_str()));
  made.push_back(nullptr);
  return made;
}

class variables {
 public:
  explicit variables(const environment& wanted) {
    if (wanted.inherit && wanted.set.empty() && wanted.unset.empty()) return;
    for (const auto& [name, value] : wanted.set) changed_.emplace_back(name).append(1, '=').append(value);
    all_ = pointers_to(changed_);
    all_.pop_back();
    if (wanted.inherit) add_ours(wanted);
    all_.push_back(nullptr);
  }
  variables(const variables&) = delete;
  variables& operator=(const variables&) = delete;

  [[nodiscard]] char* const* get() const noexcept { return all_.empty() ? environ : all_.data(); }

 private:
  void add_ours(const environment& wanted) {
    for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
      std::string_view text(*one);
      std::string name(text.substr(0, text.find('=')));
      if (wanted.set.contains(name) || std::ranges::find(wanted.unset, name) != wanted.unset.end()) continue;
      all_.push_back(*one);
    }
  }

  std::vector<std::string> changed_;
  pointers all_;  // empty: ours as it is
};

// errno.
int spawn_sound(pid_t* out, const command& what) {
  pointers argv = pointers_to(what.argv);
  variables env(what.env);
  child_stdio stdio(what);
  file_actions actions;
  attributes attributes;
  if (int error = stdio.open(); error != 0) return error;
  if (int error = actions.fill(what, stdio); error != 0) return error;
  if (int error = attributes.fill(what); error != 0) return error;

  // On failure the C library has waited for its own child already, so no zombie is left. What it then wrote
  // to the pid is left open by POSIX, so not to where the caller sees it.
  pid_t pid = 0;
  const char* program = what.program.empty() ? argv[0] : what.program.c_str();
  if (int error = ::posix_spawnp(&pid, program, actions.get(), attributes.get(), argv.data(), env.get());
      error != 0) {
    return error;
  }
  stdio.hand_over();
  *out = pid;
  return 0;
}

}  // namespace

int spawn(pid_t* out, const command& what) try {
  assert(out != nullptr);
  if (!is_sound(what)) return UV_EINVAL;
  int error = spawn_sound(out, what);
  return error == 0 ? 0 : uv_translate_sys_error(error);
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

}  // namespace uvreap
