/* What a test of the C face stands on, in C: checks, a loop with a reaper, children. A test file lists its
 * tests and runs them:
 *
 *     static void a_child_is_told_once(void) { ... CHECK(told == 1); }
 *     int main(void) {
 *       const struct test tests[] = {TEST(a_child_is_told_once)};
 *       return run_tests(tests, sizeof tests / sizeof *tests);
 *     }
 *
 * The backend is that of the run's mode, from UVREAP_TEST_BACKEND. */
#ifndef UVREAP_TEST_C_TEST_H
#define UVREAP_TEST_C_TEST_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uvreap.h>

static int failures = 0;

static inline void check(bool holds, const char* what, int line) {
  if (holds) return;
  ++failures;
  printf("line %d: %s\n", line, what);
}

#define CHECK(condition) check((condition), #condition, __LINE__)
#define REQUIRE(condition) \
  do {                     \
    CHECK(condition);      \
    if (failures != 0) {   \
      fflush(stdout);      \
      _exit(1);            \
    }                      \
  } while (0)

struct test {
  const char* name;
  void (*run)(void);
};

#define TEST(name) \
  { #name, name }

/* The last line is what ./dev test counts, in doctest's words. */
static inline int run_tests(const struct test* all, size_t count) {
  size_t failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  for (size_t i = 0; i < count; ++i) {
    failures = 0;
    alarm(300); /* a child that never ends ends the test */
    all[i].run();
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) printf("a child is left\n"), ++failures;
    if (failures != 0) printf("FAILED: %s\n", all[i].name), ++failed;
  }
  printf("[doctest] test cases: %zu | %zu passed | %zu failed | 0 skipped\n", count, count - failed, failed);
  return failed != 0;
}

static inline int backend_of_this_run(void) {
  const char* name = getenv("UVREAP_TEST_BACKEND");
  if (name == NULL) return UVREAP_BACKEND_AUTOMATIC;
  if (strcmp(name, "ring") == 0) return UVREAP_BACKEND_RING;
  return strcmp(name, "pidfd") == 0 ? UVREAP_BACKEND_PIDFD : UVREAP_BACKEND_PEEK;
}

struct stage {
  uv_loop_t loop;
  uv_timer_t clock; /* holds the loop in RUN_UNTIL() */
  uvreap_t* reaper;
};

static inline void stage_begin(struct stage* stage, const uvreap_options_t* given) {
  uvreap_options_t options = {.size = sizeof options};
  if (given != NULL) options = *given;
  options.backend = backend_of_this_run();
  REQUIRE(uv_loop_init(&stage->loop) == 0 && uv_timer_init(&stage->loop, &stage->clock) == 0);
  REQUIRE(uvreap_new(&stage->reaper, &stage->loop, &options) == 0);
  REQUIRE(uvreap_start(stage->reaper) == 0);
}

static inline void stage_end(struct stage* stage) {
  uvreap_free(stage->reaper);
  uv_close((uv_handle_t*)&stage->clock, NULL);
  uv_run(&stage->loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&stage->loop) == 0);
}

/* What a callback was told, copied; captured output into text. */
struct told {
  int times;
  uvreap_exit_t exit;
  char output[64];
  char error_output[64];
  int started_times;
  int started_error;
  pid_t started_pid;
  int changes;
  int last_change;
  int done;
};

static inline void copy_captured(const uvreap_captured_t* from, char to[64]) {
  snprintf(to, 64, "%.*s", (int)from->length, from->bytes);
}

static inline void on_exit_of(const uvreap_exit_t* exit, void* data) {
  struct told* told = (struct told*)data;
  ++told->times;
  told->exit = *exit;
  copy_captured(&exit->output, told->output);
  copy_captured(&exit->error_output, told->error_output);
}

static inline void on_started(int error, pid_t pid, void* data) {
  struct told* told = (struct told*)data;
  ++told->started_times;
  told->started_error = error;
  told->started_pid = pid;
}

static inline void on_change_of(const uvreap_change_t* change, void* data) {
  struct told* told = (struct told*)data;
  ++told->changes;
  told->last_change = change->status;
}

static inline void on_done(void* data) { ++((struct told*)data)->done; }

static inline void on_tick(uv_timer_t* clock) { (void)clock; }

#define RUN_UNTIL(stage, condition)                           \
  do {                                                        \
    uv_timer_start(&(stage)->clock, on_tick, 5, 5);           \
    while (!(condition)) uv_run(&(stage)->loop, UV_RUN_ONCE); \
    uv_timer_stop(&(stage)->clock);                           \
  } while (0)

static inline pid_t child_exiting(int code) {
  pid_t pid = fork();
  if (pid == 0) _exit(code);
  return pid;
}

/* Until it is signalled, or its parent has ended (then by SIGALRM, in the end). */
static inline pid_t child_waiting(void) {
  pid_t pid = fork();
  if (pid == 0) {
    alarm(300);
    for (;;) pause();
  }
  return pid;
}

static inline void wait_until_ended(pid_t pid) {
  siginfo_t info;
  CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

#endif
