/* uvreap for C: collects children that end, on your libuv loop, and delivers the exit of each once.
 *
 *     static void on_exit_of(const uvreap_exit_t* child, void* data) {
 *       printf("pid %d ended, wait status %d\n", (int)child->pid, child->status);
 *     }
 *     uvreap_t* reaper;
 *     if (uvreap_new(&reaper, uv_default_loop(), NULL) != 0 || uvreap_start(reaper) != 0) return 1;
 *     pid_t pid = fork();
 *     if (pid == 0) _exit(3);
 *     if (uvreap_watch(reaper, pid, NULL, on_exit_of, NULL) != 0) return 1;
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *     uvreap_free(reaper);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);  // so that libuv lets go of the reaper's handles
 *
 * This is the stable face: programs that were built with an older version of this header run with every
 * library of the same soname. It has no logic of its own: each call does what the member of that name in
 * uvreap/reaper.hpp or the function in uvreap/process.hpp does, and these headers say how it works.
 *
 * Errors: calls that return int give 0 or one of libuv's negative UV_E* codes, for uv_strerror(). A call that
 * failed changed nothing, and its outputs are untouched. Every call answers UV_EINVAL to a NULL where one is
 * not said to be allowed, and UV_ENOMEM where there is no memory. Calls about children also answer UV_EINVAL
 * while the reaper does not run. In a copy that was forked while it ran all calls with a reaper but
 * uvreap_after_fork(), uvreap_free(), uvreap_stats() and uvreap_post_watch() answer UV_EPERM. How a child
 * ended is no error.
 *
 * Threads: all calls with a reaper come from the thread of its loop, and a call from another thread aborts
 * the program, with a message; but uvreap_post_watch() may come from any. Calls without a reaper may come
 * from any thread.
 *
 * Ownership: the caller keeps all that it passes. Structs and strings are copied by the call, or read before
 * it returns. What a callback is given is the library's and lives until the callback returns. data is handed
 * to the callbacks as it is, and is never freed: the reaper holds it until the callback of the exit has
 * returned, or until uvreap_release(), uvreap_detach(), uvreap_close() or uvreap_free().
 *
 * Callbacks run on the loop's thread, never inside the call that registered them, and may call everything
 * here, uvreap_free() included. No C++ exception leaves a function here, and none may leave a callback: it
 * ends the program.
 *
 * Options: a struct of options begins with its size, and 0 in every other member is its default:
 *
 *     uvreap_watch_options_t options = {.size = sizeof options, .timeout_ms = 5000};
 *
 * A pointer to options may be NULL: all defaults. UV_EINVAL: a size that no version of this header had, or a
 * value that is none of those named. UV_ENOTSUP: the struct is of a newer header than the library, and a
 * member that the library does not know is not 0. Where 0 means a default that is not 0, UVREAP_NONE stands
 * for 0. A struct that is part of another has reserved members, which are 0, in place of a size. */
#ifndef UVREAP_H
#define UVREAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define UVREAP_NONE (-1)

/* ---- How a child ended ------------------------------------------------------------------------------- */

/* As wait4(2) gives it when the child is reaped; it includes what the child itself had waited for. On Linux
 * max_rss_bytes is at least what the parent had resident when it forked. */
typedef struct uvreap_usage_s {
  int64_t user_time_us;
  int64_t system_time_us;
  int64_t max_rss_bytes;
  int64_t minor_faults;
  int64_t major_faults;
  int64_t voluntary_switches;
  int64_t involuntary_switches;
  int64_t blocks_in; /* of 512 bytes */
  int64_t blocks_out;
  int64_t reserved[7]; /* 0 */
} uvreap_usage_t;

/* What led the reaper to the child. */
enum {
  UVREAP_NOTICE_SIGCHLD, /* the signal */
  UVREAP_NOTICE_BACKEND, /* the kernel named this very child */
  UVREAP_NOTICE_POLLER,  /* the idle poller: no signal said it */
  UVREAP_NOTICE_ALREADY  /* it had ended before it was watched */
};

/* What a child wrote to a stream of UVREAP_STDIO_CAPTURED; empty where nothing was captured. */
typedef struct uvreap_captured_s {
  const char* bytes; /* length of them, and a NUL behind; never NULL */
  size_t length;
  bool cut_by_limit;   /* there was more than the limit, or than there was memory for */
  bool cut_by_time;    /* its end was not seen: a process held it longer than drain_ms, or reading failed */
  int64_t reserved[2]; /* 0 */
} uvreap_captured_t;

/* Made by the library alone; later versions may add members at its end. */
typedef struct uvreap_exit_s {
  pid_t pid;
  int status;     /* for the macros of <sys/wait.h>; -1, to which each of them says no: there is none */
  int noticed_by; /* UVREAP_NOTICE_ */
  int error;      /* of uvreap_post_watch() only, see there */
  bool lost;      /* other code took the status: status is -1, usage is empty */
  bool recovered; /* other code took it, but the kernel still had it: status is true, usage is empty */
  bool timed_out; /* its deadline came first */
  uvreap_usage_t usage;
  uvreap_captured_t output;
  uvreap_captured_t error_output;
} uvreap_exit_t;

/* Stopped or continued. The kernel keeps only the latest: a stop that was continued before the reaper looked
 * is never seen. */
typedef struct uvreap_change_s {
  pid_t pid;
  int status; /* for WIFSTOPPED(), WSTOPSIG() and WIFCONTINUED() */
} uvreap_change_t;

typedef void (*uvreap_exit_cb)(const uvreap_exit_t*, void* data);
typedef void (*uvreap_change_cb)(const uvreap_change_t*, void* data);
typedef void (*uvreap_started_cb)(int error, pid_t pid, void* data);
typedef void (*uvreap_done_cb)(void* data);
typedef int (*uvreap_main_cb)(void* data);

/* ---- A reaper ---------------------------------------------------------------------------------------- */

typedef struct uvreap_s uvreap_t;

/* Which children a reaper reaps. */
enum {
  UVREAP_WATCHED, /* those that it was given */
  UVREAP_ANY      /* every child and orphan of this process: for PID 1 and subreapers, one reaper a process */
};

/* How it learns which child ended. One that is asked for by name has to work, or uvreap_start() fails. */
enum {
  UVREAP_BACKEND_AUTOMATIC, /* the best that works here */
  UVREAP_BACKEND_RING,      /* io_uring polls on pidfds */
  UVREAP_BACKEND_PIDFD,     /* pidfds in one epoll set */
  UVREAP_BACKEND_PEEK       /* waitid(WNOWAIT) shows the first zombie: the kernel walks all children */
};

/* When libuv's SIGCHLD handle is registered, which replaces a handler that was there. */
enum {
  UVREAP_SIGCHLD_ALWAYS,      /* at start */
  UVREAP_SIGCHLD_WHEN_NEEDED, /* when something needs it, and kept from then on */
  UVREAP_SIGCHLD_NEVER        /* the program's own handler stays: see uvreap_sigchld_arrived() */
};

typedef struct uvreap_options_s {
  size_t size;
  int children;     /* UVREAP_WATCHED or UVREAP_ANY. WARNING: ANY takes children that other code waits for, if
                       that code is slow: see uvreap::options in reaper.hpp. Run it on the main thread. */
  int backend;      /* UVREAP_BACKEND_ */
  int sigchld;      /* UVREAP_SIGCHLD_ALWAYS, _WHEN_NEEDED or _NEVER */
  int budget;       /* children looked at, delivered or signalled in one turn of the loop at most; 0: 64 */
  bool sole_parent; /* ANY, on the main thread: no other code there has children. What has ended is taken at
                       once. WARNING: what other code waits for is taken from it. */
  int spawn_queue;  /* uvreap_spawn_async() calls that may wait until they have started; 0: 1024 */
  int64_t budget_time_us;     /* of the thread's CPU in one turn, without the callbacks; 0: 500 */
  int64_t poll_every_ms;      /* the longest rest of the idle poller; 0: 1000; UVREAP_NONE: no poller */
  int64_t unclaimed_grace_ms; /* ANY: an unclaimed zombie is left to its owner so long; 0: 100; UVREAP_NONE */
  uvreap_exit_cb on_unclaimed; /* ANY: called for each child that was reaped and had no watch; may be NULL */
  void* on_unclaimed_data;
} uvreap_options_t;

/* Makes a reaper for this loop and writes it to *out; the loop is not touched before uvreap_start(), and must
 * outlive the reaper. The caller ends it with uvreap_free(). */
int uvreap_new(uvreap_t** out, uv_loop_t*, const uvreap_options_t*);

/* Starts it. UV_EALREADY: it runs. UV_EBUSY: another reaper of this process has ANY. UV_EINVAL: options, or
 * UVREAP_SIGCHLD_NEVER while SIGCHLD is ignored. UV_ENOTSUP: that backend is not available; or ANY off the
 * main thread in a process that has used uvreap_spawn_async(). UV_EMFILE, UV_ENFILE: try again later.
 * UV_EPERM: in a forked copy. */
int uvreap_start(uvreap_t*);

/* Releases every watch (the children stay yours, zombies too), drops what is collected and undelivered, and
 * closes captured streams. No callback comes after it, but done, which may be NULL: it is called with data in
 * a later turn, when libuv has let go of every handle. Closing again, or before uvreap_start(), is 0 and
 * calls done too. uvreap_spawn_async() says what becomes of children that have not started. */
int uvreap_close(uvreap_t*, uvreap_done_cb done, void* data);

/* Closes and frees it. NULL is allowed. The loop has to run once more before uv_loop_close(). Inside it
 * started comes with UV_ECANCELED for what has not been made: there another uvreap_free() does nothing, and
 * uvreap_start() answers UV_EINVAL. */
void uvreap_free(uvreap_t*);

/* ---- Children that are there ------------------------------------------------------------------------- */

typedef struct uvreap_watch_options_s {
  size_t size;
  bool unref;                 /* this watch does not keep the loop alive */
  uvreap_change_cb on_change; /* called with the watch's data for each stop and continue that the kernel still
                                 knew; may be NULL */
  int64_t timeout_ms; /* then it is ended as by uvreap_terminate(), and marked timed_out; 0: no limit */
  int64_t grace_ms;   /* of that termination; 0: 5000; UVREAP_NONE: SIGKILL in the next turn */
} uvreap_watch_options_t;

/* One call of on_exit when the child ends, or within the next turns if it ended long ago. on_exit may be
 * NULL: then the child is reserved, that is reaped, and delivered when a later uvreap_watch() brings a
 * callback. A reserved or detached child is taken (back) by this call. UV_EINVAL: pid <= 0. UV_EEXIST:
 * watched, here or by another reaper of this process. UV_ESRCH: no child of ours. */
int uvreap_watch(uvreap_t*, pid_t, const uvreap_watch_options_t*, uvreap_exit_cb on_exit, void* data);

/* The child that this pidfd names. The descriptor stays the caller's and may be closed at once. Further
 * errors: UV_EBADF, UV_EINVAL: not a pidfd. UV_ENOTSUP: the kernel is older than 6.13 and /proc is not
 * mounted. */
int uvreap_watch_pidfd(uvreap_t*, int pidfd, const uvreap_watch_options_t*, uvreap_exit_cb on_exit,
                       void* data);

/* uvreap_watch() without options, from any thread, while the reaper exists. A pid that cannot be watched is
 * delivered to on_exit with error set: UV_EEXIST: watched already. UV_ESRCH, with lost: no child of ours.
 * UV_EINVAL, with lost: pid <= 0. UV_ENOMEM. While the reaper does not run, and in a forked copy, it is 0,
 * and dropped. */
int uvreap_post_watch(uvreap_t*, pid_t, uvreap_exit_cb on_exit, void* data);

/* No callback, and the child is yours to wait for (ANY: excluded). UV_EALREADY: its status is taken already,
 * and the callback still comes. UV_ESRCH: not watched here. UV_EINVAL: pid <= 0, or sole_parent. */
int uvreap_release(uvreap_t*, pid_t);

/* No callback, still reaped; what is collected and undelivered is dropped. UV_ESRCH: not watched here.
 * UV_EINVAL: pid <= 0. */
int uvreap_detach(uvreap_t*, pid_t);

/* ANY: this child is other code's to wait for, until wait says that it is gone, or uvreap_watch() takes it.
 * UV_ESRCH: no child of ours. UV_EEXIST: watched here. UV_EINVAL: pid <= 0, not ANY, or sole_parent. */
int uvreap_exclude(uvreap_t*, pid_t);

/* Sends a signal to a watched child, proven ours before: no recycled pid is hit. signum 0 only asks.
 * UV_ESRCH: it is collected, or taken by other code, or not watched here. UV_EINVAL: pid <= 0, or no such
 * signal. UV_EPERM: it runs as another user. */
int uvreap_kill(uvreap_t*, pid_t, int signum);

/* SIGTERM and SIGCONT now, and SIGKILL when grace_ms milliseconds are over and it has not ended; 0: SIGKILL
 * in the next turn. If the child leads a process group, the whole group. The exit is delivered when it
 * happens. The loop is held until the child has ended and its group is empty, or SIGKILL was sent.
 * UV_EALREADY: one is under way. UV_ESRCH, UV_EINVAL: as uvreap_kill(), and grace_ms < 0. */
int uvreap_terminate(uvreap_t*, pid_t, int64_t grace_ms);

/* ---- Children that are to be made -------------------------------------------------------------------- */

enum {
  UVREAP_STDIO_INHERIT,    /* ours of that number, as exec hands it on */
  UVREAP_STDIO_NULL,       /* /dev/null */
  UVREAP_STDIO_DESCRIPTOR, /* a copy of descriptor, which stays the caller's */
  UVREAP_STDIO_FILE,       /* opened by the child, as open(path, flags, mode); path is relative to our working
                              directory. WARNING: a FIFO with no process at its other end holds the call. */
  UVREAP_STDIO_PIPE, /* a new pipe. Our end is written to *our_end when the child is there: the caller's to
                        close, non-blocking, close-on-exec, ready for uv_pipe_open(). our_end must live
                        until uvreap_spawn() has returned, or started was called. */
  UVREAP_STDIO_SAME_AS_OUTPUT, /* error_output only: as 2>&1 does */
  UVREAP_STDIO_CAPTURED /* output and error_output, with a reaper only: the exit brings the first limit bytes
                           that were written; the rest is read and dropped */
};

/* One of a child's three standard descriptors: a kind, and the members that the kind names. The others are
 * 0. */
typedef struct uvreap_stdio_s {
  int kind; /* UVREAP_STDIO_ */
  int descriptor;
  int flags;
  mode_t mode;
  const char* path;
  int* our_end;
  int64_t limit;       /* 0: 1048576; UVREAP_NONE: no byte is kept */
  int64_t reserved[4]; /* 0 */
} uvreap_stdio_t;

enum {
  UVREAP_GROUP_INHERITED,
  UVREAP_GROUP_CREATED, /* the child leads a group of its own, which uvreap_terminate() ends as a whole */
  UVREAP_GROUP_SESSION  /* the child leads a session, and so a group, without a controlling terminal */
};

enum {
  UVREAP_SIGNALS_RESET,    /* an empty mask, every signal by default */
  UVREAP_SIGNALS_INHERITED /* our thread's mask, and what we ignore stays ignored */
};

/* What a child is to run. Lists of strings end with NULL, as for execve(2); lists and strings may be NULL but
 * for argv. */
typedef struct uvreap_command_s {
  size_t size;
  char* const* argv;    /* at least the program */
  const char* program;  /* what is executed under the name argv[0]; NULL or empty: that. Without a slash it is
                           looked for in our own PATH; with one it is relative to cwd. */
  char* const* envp;    /* "NAME=value" each: the whole environment; NULL: ours, as it is at the call */
  char* const* env_set; /* "NAME=value" each: added to that, or in place of what is there */
  char* const* env_unset; /* "NAME" each: not taken from ours */
  const char* cwd;        /* NULL or empty: ours */
  uvreap_stdio_t input;
  uvreap_stdio_t output;
  uvreap_stdio_t error_output;
  int group;             /* UVREAP_GROUP_ */
  int signals;           /* UVREAP_SIGNALS_ */
  bool keep_descriptors; /* false: no descriptor above 2; true: those without close-on-exec */
  int64_t drain_ms;      /* captured streams may stay open so long after the end; 0: 1000; UVREAP_NONE */
} uvreap_command_t;

/* Runs the command and watches it. 0: the program runs, *pid is its pid, and our ends of its pipes are
 * written; the call waits for the exec. Else there is no child and no descriptor more.
 *
 *   UV_ENOENT, UV_EACCES, ...  the program, cwd or a file is missing or refused
 *   UV_E2BIG                   arguments and environment are too long
 *   UV_EAGAIN, UV_ENOMEM       no more processes, no memory
 *   UV_EMFILE, UV_ENFILE       no descriptors for the pipes
 *   UV_EBADF                   a given descriptor is negative or closed
 *   UV_EINVAL                  no argv, a bad name in an environment, a stdio kind in a wrong place, a NULL
 * path or our_end
 *
 * on_exit may be NULL, as for uvreap_watch(). */
int uvreap_spawn(uvreap_t*, pid_t* pid, const uvreap_command_t*, const uvreap_watch_options_t*,
                 uvreap_exit_cb on_exit, void* data);

/* The same without waiting: a thread makes the children in the order of the calls, and started(error, pid,
 * data) is called on the loop, before on_exit; where error is not 0 no on_exit comes. UV_EAGAIN: the queue is
 * full, or there can be no thread. UV_ENOTSUP: ANY off the main thread. UV_EBADF, UV_EMFILE, UV_EINVAL. All
 * other errors of uvreap_spawn() come to started.
 *
 * uvreap_close() and uvreap_free() call started for all that it was not called for: with the pid where the
 * child is there (it is yours), else with UV_ECANCELED. */
int uvreap_spawn_async(uvreap_t*, const uvreap_command_t*, const uvreap_watch_options_t*,
                       uvreap_started_cb started, uvreap_exit_cb on_exit, void* data);

/* Forks as uvreap_process_fork() does and watches the child, which does _exit(child_main(data) & 0xff). *pid
 * is set before any callback. UV_EAGAIN: no more processes. on_exit may be NULL, as for uvreap_watch(). */
int uvreap_fork(uvreap_t*, pid_t* pid, uvreap_main_cb child_main, const uvreap_watch_options_t*,
                uvreap_exit_cb on_exit, void* data);

/* ---- Signals, forked copies, figures ----------------------------------------------------------------- */

/* For a program that receives SIGCHLD itself (UVREAP_SIGCHLD_NEVER): looks in the next turn for what the
 * signal may be about. WARNING: not from a signal handler. */
int uvreap_sigchld_arrived(uvreap_t*);

/* In a forked copy, after uv_loop_fork(): starts afresh with the same options, and nothing watched. Errors of
 * uvreap_start(), and then nothing has changed. UV_EINVAL: this is no copy of a process where it ran. A copy
 * that never runs the loop needs nothing. WARNING: without uv_loop_fork() this takes the parent's descriptors
 * off its epoll set. */
int uvreap_after_fork(uvreap_t*);

/* Whether SIGCHLD comes through. */
enum {
  UVREAP_SIGCHLD_HEALTHY,
  UVREAP_SIGCHLD_IGNORED, /* children leave no status: every exit will be lost */
  UVREAP_SIGCHLD_BLOCKED, /* in the loop's thread, and one is pending: only poller and backend notice exits */
  UVREAP_SIGCHLD_UNHEARD  /* the poller found an exit that no signal told */
};

/* Since uvreap_start(); "now" is no counter. */
typedef struct uvreap_stats_s {
  size_t size;
  uint64_t watched;    /* now: living children that are watched, detached and reserved ones too */
  uint64_t on_backend; /* now: of those, children that the backend names by itself */
  uint64_t reaped;     /* unclaimed ones too; lost and recovered ones not */
  uint64_t lost;
  uint64_t recovered;
  uint64_t unclaimed;
  uint64_t sweeps;
  uint64_t budget_spent_turns; /* sweeps that left work for the next turn */
  uint64_t longest_sweep_ns;   /* of the thread's CPU, without the callbacks */
  uint64_t wakeups_by_sigchld; /* notices, not exits */
  uint64_t wakeups_by_backend;
  uint64_t wakeups_by_poller;
  uint64_t missed; /* exits that the poller found and nothing else told by the next turn */
  int backend;     /* in use, UVREAP_BACKEND_; AUTOMATIC: not started */
  int degraded;    /* UV_E*: why the best backend, or a place on it, was last not available; 0: never */
  int sigchld;     /* UVREAP_SIGCHLD_HEALTHY, ... */
  bool unclaimed_one_by_one; /* ANY without /proc: unclaimed zombies are taken one after another */
  uint64_t on_ring;          /* now: children on each backend */
  uint64_t on_pidfd;
  uint64_t on_peek;
  uint64_t by_number;   /* now: watched children that are known by number alone */
  uint64_t reserved;    /* now: children without a callback that are kept for a watch to come */
  uint64_t held_pidfds; /* now: by all reapers of this process */
} uvreap_stats_t;

/* Fills in as much as size, which the caller has set, has room for: all 0 while the reaper does not run, and
 * in a forked copy. UV_EINVAL: a size that no version of this header had. */
int uvreap_stats(const uvreap_t*, uvreap_stats_t* out);

/* ---- Without a reaper -------------------------------------------------------------------------------- */

/* fork(2) for a program that has an event loop: returns twice, 0 with *pid == 0 in the child, which starts
 * with nothing of the parent's signal handling and must end by _exit(2) or exec. On failure (UV_EAGAIN) there
 * is no child. */
int uvreap_process_fork(pid_t* pid);

/* fork and exec in one step, errors as those of uvreap_spawn(); UV_EINVAL for a captured stream. The child is
 * the caller's to wait for, or to give to uvreap_watch(). */
int uvreap_process_spawn(pid_t* pid, const uvreap_command_t*);

/* wait4(2): the pid of the child that ended (stopped, continued); 0: none is ready; or an error: UV_ESRCH: no
 * such child (ECHILD). which and options are those of wait4(2); without WNOHANG it blocks, and a signal does
 * not end the wait. UV_EINVAL: which is below -1 and no group, or bad options. status and usage may be NULL.
 * WARNING: -1 takes children that other code, a reaper among it, waits for. */
pid_t uvreap_process_wait4(pid_t which, int options, int* status, uvreap_usage_t* usage);

/* From now on descendants whose parents end become children of this process, to be reaped by a reaper with
 * UVREAP_ANY. UV_E* of prctl(2): nothing changed. Not needed as PID 1. */
int uvreap_become_subreaper(void);

/* ---- As text ----------------------------------------------------------------------------------------- */

/* Each writes at most size bytes to buffer, the last of them a NUL, as snprintf(3) does, and returns the
 * length of the whole text, or UV_ENOMEM. buffer may be NULL where size is 0. UV_EINVAL also: uvreap_stats_t
 * of a bad size. */
int uvreap_status_text(int status, char* buffer,
                       size_t size); /* "exited with 3", "killed by signal 9 (SIGKILL)" */
int uvreap_usage_text(const uvreap_usage_t*, char* buffer, size_t size);
int uvreap_exit_text(const uvreap_exit_t*, char* buffer, size_t size); /* one line, without captured output */
int uvreap_change_text(const uvreap_change_t*, char* buffer, size_t size);
int uvreap_stats_text(const uvreap_stats_t*, char* buffer, size_t size);

/* The word for a value: "poller", "ring", "healthy"; "unknown" for a value that is none. */
int uvreap_notice_text(int notice, char* buffer, size_t size);
int uvreap_backend_text(int backend, char* buffer, size_t size);
int uvreap_sigchld_health_text(int health, char* buffer, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
