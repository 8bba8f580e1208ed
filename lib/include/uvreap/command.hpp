// What a child is to run, and with what around it: the argument of spawn().
//
//     int from_child = -1;
//     uvreap::command list{.argv = {"ls", "-l"}, .cwd = "/tmp", .output = uvreap::stdio::pipe(&from_child)};
//     list.env.set["LANG"] = "C";
//     pid_t pid = 0;
//     int error = reaper.spawn(&pid, list, [](const uvreap::child_exit& exit) { std::cout << exit; });
//
//     list.capture(1 << 20);  // instead of the pipe: the exit brings what was written
//     error = reaper.spawn(&pid, list, [](const uvreap::child_exit& exit) { std::cout << exit.output.bytes;
//     });
//
// Plain data: nothing is looked at, opened or made before spawn(), which leaves it as it was, so one command
// may be spawned many times. Descriptors given to it stay the caller's.
//
// What posix_spawn cannot do is left out: resource limits, user and group ids, no_new_privs, the parent-death
// signal, umask. Programs do it on the way to the command, with its pid and at the cost of one more exec:
//
//     {"prlimit", "--nofile=64", "--cpu=10", "make"}                            // limits
//     {"setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "make"}     // ids
//     {"setpriv", "--no-new-privs", "--pdeathsig=TERM", "make"}
//     {"sh", "-c", "umask 077; exec \"$@\"", "sh", "make"}
//
// There an exec that fails is no error of spawn(): the child exits with 127 or 126.
#pragma once

#include "uvreap/export.hpp"

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace uvreap::inline v0 {

// One of a child's three standard descriptors. What is given to it the child gets without close-on-exec.
class UVREAP_API stdio {
 public:
  stdio() noexcept = default;  // inherit()

  // Ours of that number, as exec hands it on: what is closed or close-on-exec here is closed there. So a
  // child never gets the epoll set of a loop that was made while 0, 1 or 2 was closed.
  [[nodiscard]] static stdio inherit() noexcept { return {}; }

  [[nodiscard]] static stdio null();  // /dev/null

  // A copy of this descriptor, which stays the caller's; 0 to 2 may be given too, crosswise as well. Negative
  // or closed: UV_EBADF.
  [[nodiscard]] static stdio descriptor(int) noexcept;

  // Opened by the child: flags and mode are those of open(2), the path is relative to our working directory,
  // not to command::cwd. The errors of open come back from spawn().
  //
  // WARNING: opening a FIFO that has no process at its other end holds spawn() until one comes, and all
  // spawn_async() calls of the process behind this one; O_RDWR does not.
  [[nodiscard]] static stdio file(std::string path, int flags, mode_t mode = 0666);

  // A new pipe. spawn() writes our end to *our_end when the child is there (the writing end of an input, the
  // reading end of an output): the caller's to close, non-blocking, close-on-exec, above 2, and so ready for
  // uv_pipe_open. On failure *our_end is untouched. Null is asserted; it must live until spawn() has
  // returned, or spawn_async() has called started.
  //
  // WARNING: writing to a child that has closed its input raises SIGPIPE; ignore that signal, as libuv does
  // not.
  [[nodiscard]] static stdio pipe(int* our_end);

  // For error_output only (elsewhere UV_EINVAL): whatever output is, as 2>&1 does. UV_EBADF: output is
  // inherited, and closed.
  [[nodiscard]] static stdio same_as_output() noexcept;

  // For output and error_output, and a reaper only (elsewhere UV_EINVAL): the reaper reads it and
  // hands it over with the exit, the first so many bytes of it. The child is never held up: the rest is read
  // too, and dropped. (libuv opens /dev/null for the first stream of a loop, and keeps it until
  // uv_loop_close().)
  [[nodiscard]] static stdio captured(std::size_t limit) noexcept;
  [[nodiscard]] bool is_captured() const noexcept { return what_ == kind::captured; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  friend bool operator==(const stdio&, const stdio&) = default;

 private:
  friend class child_stdio;
  enum class kind { inherit, descriptor, file, pipe, same_as_output, captured };
  explicit stdio(kind what) noexcept : what_(what) {}

  kind what_ = kind::inherit;
  int descriptor_ = -1;
  int flags_ = 0;
  mode_t mode_ = 0;
  std::string path_;
  int* our_end_ = nullptr;
  std::size_t limit_ = 0;
};

// Names must be neither empty nor hold '='.
struct UVREAP_API environment {
  bool inherit = true;  // begin with ours, as it is when spawn() is called; false: with nothing
  std::map<std::string, std::string> set;  // added, or in place of ours
  std::vector<std::string> unset;  // ours that the child does not get; those in set it gets nevertheless

  friend bool operator==(const environment&, const environment&) = default;
};

enum class process_group {
  inherited,
  created,  // the child leads a group of its own, which terminate() then ends as a whole
  session,  // the child leads a session of its own, and so a group, without a controlling terminal
};

enum class child_signals {
  reset,      // an empty mask, every signal by default
  inherited,  // our thread's mask, and what we ignore stays ignored; handlers end with the exec in any case
};

// Every string may be as long as the kernel takes it (UV_E2BIG beyond), and none may hold a NUL (UV_EINVAL).
struct UVREAP_API command {
  std::vector<std::string> argv;  // at least the program; empty: UV_EINVAL

  // What is executed under the name argv[0]; empty: argv[0]. Without a slash it is the first executable of
  // that name in our own PATH, whatever env says; with one it is relative to cwd. Unlike with execvp, a
  // script without #! is ENOEXEC, and one whose interpreter is missing is not passed over.
  std::string program{};

  environment env{};
  std::string cwd{};  // empty: ours

  stdio input{};
  stdio output{};
  stdio error_output{};

  process_group group = process_group::inherited;
  child_signals signals = child_signals::reset;

  // Descriptors above 2: false: the child gets none, wherever they came from. true: it gets those without
  // close-on-exec.
  bool keep_descriptors = false;

  // The exit of a child with captured streams is delivered when they have ended too, but at most this long
  // after it was collected: whoever the child left behind may hold them for ever. 0: what the pipes hold then
  // is read. Negative: UV_EINVAL.
  std::chrono::milliseconds drain{1000};

  // Both streams, each up to the limit; or the one they are, if error_output is same_as_output().
  command& capture(std::size_t limit) noexcept;

  friend bool operator==(const command&, const command&) = default;
};

}  // namespace uvreap::inline v0
