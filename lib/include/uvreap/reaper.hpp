// A reaper collects children that end, on your libuv loop, and delivers the exit of each once.
//
//     uvreap::reaper reaper(*uv_default_loop());
//     if (int error = reaper.start()) return error;
//     pid_t pid;
//     int error = reaper.fork(&pid, [] { return 3; },
//                             [](const uvreap::child_exit& exit) { std::cout << exit << '\n'; });
//     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
//
// How it works. Wake: SIGCHLD, the backend or the idle poller only say that a sweep is due. Collect: the
// sweep asks about our own children, each by what tells it from a younger one with its number, and waits for
// those that ended with WNOHANG, under a budget. Deliver: the callbacks run one poll later. By then a pipe or
// socket pair that was watched before the child wrote, by a reader that takes all there is at each event, has
// been read. Not promised: readers that leave a rest, TCP beyond what has arrived, ptys, connections still to
// be accepted, and what a grandchild still holds.
//
// The caller promises: every call but post_watch() comes from the loop's thread (asserted, in every build);
// the loop outlives the reaper and runs once more after close() or destruction, so that libuv lets go of its
// handles; no other code waits for a watched child (if it does, the exit is delivered as lost, or recovered,
// and a younger child that got its number is left alone). A loop may move to another thread: the reaper
// follows with the first turn there, or when the old thread has ended. A loop may also be ended by uv_walk()
// with uv_close(handle, nullptr) on all handles, uv_run(), and then the destructor: what is undelivered is
// destroyed uncalled.
//
// Errors are libuv's: 0 or UV_E*, and a call that failed changed nothing. Calls that return int answer
// UV_EPERM in a copy that was forked while the reaper ran, but for after_fork(); and UV_EINVAL while it does
// not run, but for start(), close() and after_fork(). Those that take memory may answer UV_ENOMEM. How a
// child ended is never an error.
//
// Callbacks run on the loop's thread, never inside the call that registered them, and may call anything here,
// closing or destroying the reaper included. They must not throw: std::terminate ends the program.
//
// WARNING: libuv's SIGCHLD handle replaces a handler that was there, does not chain it and does not put it
// back; sigchld_use::never leaves it alone.
#pragma once

#include "uvreap/export.hpp"

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "uvreap/awaitable.hpp"
#include "uvreap/child_exit.hpp"
#include "uvreap/command.hpp"
#include "uvreap/process.hpp"
#include "uvreap/statistics.hpp"

namespace uvreap::inline v0 {

// Empty: the child is reserved. It is reaped, and delivered when a later watch() brings a callback, even if
// its number is another child's by then (which a second watch(), or watch_pidfd(), reaches). A reserved child
// that no watch() ever takes is held, a record of some 300 bytes, until close(): see statistics::reserved.
using callback = std::function<void(const child_exit&)>;

// Of spawn_async(): 0 and the pid of a child that is there and watched, or UV_E* and 0.
using started_callback = std::function<void(int error, pid_t)>;

enum class sigchld_use {
  always,       // registered at start
  when_needed,  // registered when something needs it (stops, children that no backend names, any(), SIGCHLD
                // ignored at start), kept from then on
  never,        // the program's own handler stays; what only SIGCHLD tells waits for the poller, or for
                // sigchld_arrived()
};

struct UVREAP_API options {
  // watched(): the children it was given. any(): every child and orphan of this process, but for such that
  // clone(2) made with another signal than SIGCHLD (they can be watched); for PID 1 and subreapers, one
  // reaper in the process. Any other scope is UV_EINVAL. WARNING: any() takes children that other code waits
  // for, if that code is slow. On the main thread only other code of that thread is in question, and it has
  // unclaimed_grace; children of other living threads are not seen. On any other thread the grace is all that
  // protects them. So run it on the main thread, and name what is not to be taken by exclude(). Cost: where
  // unclaimed zombies are to be taken, one uv_walk over the loop's handles in 10 to 50 ms at most, in one
  // piece (some 5 ns a handle).
  scope children = scope::watched();
  backend_kind backend = backend_kind::automatic;
  sigchld_use sigchld = sigchld_use::always;

  // What one loop turn spends at most: children looked at, delivered or signalled (at least 1), and CPU time
  // of the loop's thread, without your callbacks (at least 1 us). The rest is carried into the next turn.
  // budget_time microseconds::max(): no limit. Then no clock is read for it, and statistics::longest_sweep
  // stays 0.
  int budget = 64;
  std::chrono::microseconds budget_time{500};

  // The longest the idle poller rests while something is watched. It goes through all children that no
  // backend names, at one to four system calls each; it bounds how long a lost notice or a stolen exit stays
  // unknown. Shortens itself down to a sixteenth (and not below 10 ms) while it finds something. At rest it
  // doubles with each tick, up to 64 times this, and a lost notice is bounded by that: while no child is
  // watched or collected, a backend names every watched child, and SIGCHLD comes through, neither blocked in
  // the loop's thread nor ignored nor another handler's; all of which it looks at when it ticks. 0: no
  // poller, and then a lost notice is lost for ever, and a child whose zombie a tracer holds waits for the
  // next SIGCHLD. Negative: UV_EINVAL.
  std::chrono::milliseconds poll_every{1000};

  // any(): called once for each child that was reaped and that had no watch. Empty: they are only reaped.
  callback on_unclaimed{};

  // How many spawn_async() calls may wait until they have started, at least 1: one more is UV_EAGAIN. Each
  // holds up to 3 descriptors and copies of its strings, one of our environment among them.
  int spawn_queue = 1024;

  // any(): how long an unclaimed zombie is left to a rightful owner; delivered at the latest 100 ms after
  // that. 0: it is taken at once. Negative: UV_EINVAL.
  std::chrono::milliseconds unclaimed_grace{100};

  // any(), on the main thread: no other code of this process has children there, as in most programs that are
  // PID 1. Then wait4(-1, ..., WNOHANG) takes whatever has ended, at once: no grace, no uv_walk, no /proc,
  // one system call for each orphan. On another thread it changes nothing. Without any(): UV_EINVAL. WARNING:
  // what other code waits for on that thread (system(), uv_spawn(), another reaper) is taken from it, and a
  // child that is made and not watched in the same turn is delivered as unclaimed. The stops of a process
  // that this one traces with ptrace are lost.
  bool sole_parent = false;
};

struct UVREAP_API watch_options {
  // The loop stays alive from watch() until the callback has returned. Reserved and detached children never
  // hold it.
  bool ref = true;

  // Called for each stop and continue that the kernel still knew when we looked. Empty: they are ignored.
  std::function<void(const child_change&)> on_change{};

  // Ends the child as terminate(pid, grace) does if it has not ended this long after watch(), and marks its
  // exit timed_out; a termination with a longer grace that is under way is shortened to this one. What is
  // refused at that moment is tried again. 0: no deadline. Negative: UV_EINVAL. Detaching the child drops its
  // deadline.
  std::chrono::milliseconds timeout{0};
  std::chrono::milliseconds grace{5000};
};

class UVREAP_API reaper {
 public:
  explicit reaper(uv_loop_t&, options = {});  // touches nothing before start()
  ~reaper();                                  // as close() without done
  reaper(const reaper&) = delete;
  reaper& operator=(const reaper&) = delete;

  // UV_EALREADY: it runs. UV_EBUSY: another reaper of this process has any(). UV_EINVAL: options, or
  // sigchld_use::never while SIGCHLD is ignored. UV_ENOTSUP: that backend is not available; or
  // any() off the main thread in a process that has used spawn_async(), whose thread's children any() would
  // take there before they are watched. UV_EMFILE,
  // UV_ENFILE, UV_ENOMEM: try again later. After close() it begins anew.
  [[nodiscard]] int start();

  // Releases every watch (the children stay yours, zombies too), drops what is collected and undelivered, and
  // closes captured streams. done runs in a later turn, when libuv has let go of every handle. Closing again,
  // or before start(), is 0 and calls done too. UV_ENOMEM, only with done: not closed.
  int close(std::function<void()> done = {});

  // One callback when the child ends, or within the next turns if it ended long ago. The callback's captures
  // live until it has returned, or until release(), detach() or close(). UV_EINVAL: pid <= 0. UV_EEXIST:
  // watched, here or by another reaper of this process. UV_ESRCH: no child of ours, or its status is taken
  // already. UV_ENOMEM. A reserved or detached child is taken (back) by watch().
  [[nodiscard]] int watch(pid_t, watch_options, callback);
  [[nodiscard]] int watch(pid_t pid, callback tell) { return watch(pid, {}, std::move(tell)); }

  // The child that this pidfd names, which cannot be a younger one with the same number. The descriptor stays
  // the caller's and may be closed at once. Further errors: UV_EBADF, UV_EINVAL: not a pidfd. UV_ENOTSUP: the
  // kernel is older than 6.13 and /proc is not mounted, so its number cannot be told.
  [[nodiscard]] int watch_pidfd(int pidfd, watch_options, callback);
  [[nodiscard]] int watch_pidfd(int pidfd, callback tell) { return watch_pidfd(pidfd, {}, std::move(tell)); }

  // No callback, and the child is yours to wait for (in any(): excluded); captured streams are closed.
  // UV_EALREADY: its status is taken already, and the callback still comes (a reserved child's with a
  // watch()). UV_ESRCH: not watched here. UV_EINVAL: pid <= 0, or options::sole_parent.
  [[nodiscard]] int release(pid_t);

  // No callback, still reaped; captured streams are read on and dropped. If it is collected already, its
  // delivery is dropped. UV_ESRCH: not watched here. UV_EINVAL: pid <= 0.
  [[nodiscard]] int detach(pid_t);

  // any(): this child is other code's to wait for. Ends when wait says that it is gone, or by watch().
  // UV_ESRCH: no child of ours. UV_EEXIST: watched here. UV_EINVAL: pid <= 0, not any(), or
  // options::sole_parent.
  [[nodiscard]] int exclude(pid_t);

  // Proven ours before the signal goes, so no recycled pid is hit: UV_ESRCH if it is collected, or taken by
  // other code (then delivered as lost), or not watched here. A zombie takes signals in silence. signum 0
  // only asks. UV_EINVAL: pid <= 0, or no such signal. UV_EPERM: it runs as another user. Without pidfd_open
  // (seccomp, no descriptor left) the proof and the signal are two calls by number.
  [[nodiscard]] int kill(pid_t, int signum);

  // SIGTERM and SIGCONT now, SIGKILL when the grace is over and it has not ended; grace 0: SIGKILL in the
  // next turn. If the child leads a process group, the whole group, survivors of the leader too, and no other
  // process. The child's exit is delivered when it happens. It holds the loop until the child has ended and
  // its group is empty (asked every 20 ms), or SIGKILL was sent; close() stops it, and release() while the
  // child lives. UV_EALREADY: one is under way, and goes on unchanged. UV_ESRCH, UV_EINVAL: as kill(), and a
  // negative grace. On kernels before 6.9 a group holds it, and its leader's zombie, for the whole grace.
  [[nodiscard]] int terminate(pid_t, std::chrono::milliseconds grace);

  // Reserves, forks (as uvreap::fork does) and watches: an exit right after the fork is not missed. The child
  // does _exit(child_main() & 0xff); an exception there ends the child by SIGABRT. Errors of fork, and
  // UV_EINVAL for an empty child_main; then there is no child, and *out is untouched. *out is set before any
  // callback.
  [[nodiscard]] int fork(pid_t* out, std::function<int()> child_main, watch_options, callback);
  [[nodiscard]] int fork(pid_t* out, std::function<int()> child_main, callback tell) {
    return fork(out, std::move(child_main), {}, std::move(tell));
  }

  // Reserves, spawns (as uvreap::spawn does) and watches: the same for a program. Errors of spawn, the exec's
  // among them; then there is no child, and *out and our ends of the command's pipes are untouched. Streams
  // that the command captures are read on the loop, and the exit is delivered when they have ended (see
  // command::drain), with what was in them; from the child's end until then release() answers UV_EALREADY.
  [[nodiscard]] int spawn(pid_t* out, const command&, watch_options, callback);
  [[nodiscard]] int spawn(pid_t* out, const command& what, callback tell) {
    return spawn(out, what, {}, std::move(tell));
  }

  // spawn() without waiting for the exec, which takes spawn() tenths of a millisecond or more: a thread
  // makes the child, in the order of the calls, and started(error, pid) is called on the loop when it has.
  // Then the child is watched, its deadline begins, and our ends of its pipes are written (where they go to
  // must live until then); its exit comes later, never before. Errors of the call: UV_EAGAIN: the queue is
  // full, or there can be no thread. UV_EBADF, UV_EMFILE, UV_EINVAL (an empty started, too), UV_ENOMEM.
  // UV_ENOTSUP: any() runs off the main thread. All others of spawn() come to started, with pid 0, and then
  // tell is not called. With ref it holds the loop until started has returned.
  //
  // Of the moment of the call are the command, environment, PATH, descriptors (inherited ones, too) and
  // signal mask: what changes later does not matter. Of the moment of the making are the process's: working
  // directory, umask, ignored signals, and descriptors that the command keeps. Of the moment of the first
  // call in this process are what a thread has of its own, for the one thread of all reapers is made then and
  // lives as long as the process: nice and scheduling, affinity, no_new_privs, seccomp filters, namespaces. A
  // parent-death signal of the child fires when the process ends.
  //
  // close() and the destructor call started for all that it was not called for: with the pid where the child
  // is there (it is yours, as every child is), else with UV_ECANCELED. A child that is being made at that
  // moment is killed and reaped when it is there, and done, and the loop, wait for that. In a forked copy
  // neither is called, and nothing is made. A copy made by fork() has none of our ends of pipes under way.
  // WARNING: one by plain fork(2) has, and a reader may wait for it to end.
  [[nodiscard]] int spawn_async(const command&, watch_options, started_callback, callback tell);
  [[nodiscard]] int spawn_async(const command& what, started_callback started, callback tell) {
    return spawn_async(what, {}, std::move(started), std::move(tell));
  }

  // watch(), from any thread, while the reaper exists. The hand-over itself never holds the loop; once taken
  // it is a watch like others. A pid that cannot be watched is delivered with child_exit::error. Dropped
  // while the reaper does not run. Throws std::bad_alloc, with nothing handed over.
  void post_watch(pid_t, callback);

  // To be awaited: the exit as the result of co_await. See awaitable.hpp. Throws std::bad_alloc.
  [[nodiscard]] awaitable exit_of(pid_t, watch_options = {});

  // spawn_async(), to be awaited: its error and the pid of a child that is reserved, for exit_of().
  [[nodiscard]] spawn_awaitable spawned(command);

  // For a program that receives SIGCHLD itself (sigchld_use::never), as by signalfd(2): looks in the next
  // turn for what the signal may be about. WARNING: not from a signal handler.
  [[nodiscard]] int sigchld_arrived();

  // In a forked copy, after uv_loop_fork(loop): starts afresh with the same options, nothing watched, the
  // parent's callbacks destroyed uncalled (but those that post_watch() had handed over and the loop had not
  // taken: they are never touched there). Errors of start(), and then nothing has changed; UV_EINVAL: this
  // is no copy of a process where it ran. WARNING: without uv_loop_fork() the loop is still the parent's to
  // the kernel, and this takes the parent's descriptors off its epoll set. A copy that never runs the loop
  // needs nothing: its destructor leaves the parent's kernel objects alone, and the handles and descriptors
  // open.
  [[nodiscard]] int after_fork();

  // Empty while it does not run, and in a forked copy. Cost: some 5 ns for each child.
  [[nodiscard]] statistics stats() const;

 private:
  friend class awaitable;
  friend class spawn_awaitable;
  int watch(pid_t, watch_options&&, callback&&, std::uint64_t* serial);
  int spawn_async(const command&, watch_options&&, started_callback&&, callback&&, std::uint64_t* serial);
  int cancel_spawn(std::uint64_t serial);
  int detach(pid_t, std::uint64_t serial);

  class UVREAP_LOCAL impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace uvreap::inline v0
