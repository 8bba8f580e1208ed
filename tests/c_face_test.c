/* The C face, compiled as C: a program that has no C++ in it watches, makes and ends children. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "support/c_test.h"

static int exits_with_3(void* data) {
  (void)data;
  return 3;
}

static bool exited_with(const struct told* told, int code) {
  return told->times == 1 && WIFEXITED(told->exit.status) && WEXITSTATUS(told->exit.status) == code;
}

static bool killed_by(const struct told* told, int signum) {
  return told->times == 1 && WIFSIGNALED(told->exit.status) && WTERMSIG(told->exit.status) == signum;
}

/* ---- Children that are there */

static void a_child_is_told_once_with_status_and_usage(void) {
  struct stage stage;
  struct told told = {0};
  stage_begin(&stage, NULL);
  pid_t pid = child_exiting(3);
  REQUIRE(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == 0);
  CHECK(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == UV_EEXIST);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(exited_with(&told, 3));
  CHECK(told.exit.pid == pid);
  CHECK(!told.exit.lost && !told.exit.recovered && !told.exit.timed_out && told.exit.error == 0);
  CHECK(told.exit.usage.max_rss_bytes > 0);
  CHECK(told.output[0] == '\0' && told.exit.output.length == 0);
  stage_end(&stage);
}

static void a_status_that_other_code_took_is_lost(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_options_t options = {.size = sizeof options, .poll_every_ms = 20};
  stage_begin(&stage, &options);
  pid_t pid = child_waiting();
  REQUIRE(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == 0);
  kill(pid, SIGKILL);
  REQUIRE(waitpid(pid, NULL, 0) == pid);
  RUN_UNTIL(&stage, told.times != 0);
  CHECK(told.exit.lost || told.exit.recovered); /* since Linux 6.15 the kernel may still have it */
  CHECK(told.exit.lost == (told.exit.status == -1));
  CHECK(!told.exit.lost || (!WIFEXITED(told.exit.status) && !WIFSIGNALED(told.exit.status)));
  stage_end(&stage);
}

static void a_pidfd_names_a_child(void) {
  struct stage stage;
  struct told told = {0};
  stage_begin(&stage, NULL);
  CHECK(uvreap_watch_pidfd(stage.reaper, -1, NULL, on_exit_of, &told) == UV_EBADF);
  int null = open("/dev/null", O_RDONLY);
  CHECK(uvreap_watch_pidfd(stage.reaper, null, NULL, on_exit_of, &told) == UV_EINVAL);
  close(null);
  pid_t pid = child_exiting(3);
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  REQUIRE(pidfd >= 0 && uvreap_watch_pidfd(stage.reaper, pidfd, NULL, on_exit_of, &told) == 0);
  close(pidfd);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(exited_with(&told, 3));
  stage_end(&stage);
}

static void a_reserved_child_is_told_to_a_later_watch(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_stats_t stats = {.size = sizeof stats};
  stage_begin(&stage, NULL);
  pid_t pid = child_exiting(3);
  REQUIRE(uvreap_watch(stage.reaper, pid, NULL, NULL, NULL) == 0);
  REQUIRE(uvreap_stats(stage.reaper, &stats) == 0);
  CHECK(stats.reserved == 1);
  REQUIRE(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == 0);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(exited_with(&told, 3));
  stage_end(&stage);
}

static void release_gives_back_and_detach_reaps_in_silence(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_stats_t stats = {.size = sizeof stats};
  stage_begin(&stage, NULL);
  pid_t released = child_waiting();
  pid_t detached = child_waiting();
  REQUIRE(uvreap_watch(stage.reaper, released, NULL, on_exit_of, &told) == 0);
  REQUIRE(uvreap_watch(stage.reaper, detached, NULL, on_exit_of, &told) == 0);
  CHECK(uvreap_kill(stage.reaper, detached, SIGKILL) == 0);
  CHECK(uvreap_release(stage.reaper, released) == 0);
  CHECK(uvreap_kill(stage.reaper, released, 0) == UV_ESRCH);
  CHECK(uvreap_detach(stage.reaper, detached) == 0);
  CHECK(uvreap_exclude(stage.reaper, released) == UV_EINVAL); /* not UVREAP_ANY */
  kill(released, SIGKILL);
  CHECK(waitpid(released, NULL, 0) == released);
  RUN_UNTIL(&stage, uvreap_stats(stage.reaper, &stats) != 0 || stats.reaped == 1);
  CHECK(told.times == 0);
  stage_end(&stage);
}

static void stops_and_continues_are_told(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_watch_options_t options = {.size = sizeof options, .on_change = on_change_of};
  stage_begin(&stage, NULL);
  pid_t pid = child_waiting();
  REQUIRE(uvreap_watch(stage.reaper, pid, &options, on_exit_of, &told) == 0);
  CHECK(uvreap_kill(stage.reaper, pid, SIGSTOP) == 0);
  RUN_UNTIL(&stage, told.changes == 1);
  CHECK(WIFSTOPPED(told.last_change) && WSTOPSIG(told.last_change) == SIGSTOP);
  CHECK(uvreap_kill(stage.reaper, pid, SIGCONT) == 0);
  RUN_UNTIL(&stage, told.changes == 2);
  CHECK(WIFCONTINUED(told.last_change));
  CHECK(uvreap_kill(stage.reaper, pid, SIGTERM) == 0);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(killed_by(&told, SIGTERM));
  stage_end(&stage);
}

static void a_watch_without_ref_does_not_hold_the_loop(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_watch_options_t options = {.size = sizeof options, .unref = true};
  stage_begin(&stage, NULL);
  pid_t pid = child_waiting();
  REQUIRE(uvreap_watch(stage.reaper, pid, &options, on_exit_of, &told) == 0);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(told.times == 0);
  stage_end(&stage);
  kill(pid, SIGKILL);
  CHECK(waitpid(pid, NULL, 0) == pid);
}

struct posted {
  uvreap_t* reaper;
  pid_t pid;
  struct told* told;
};

static void* post_from_here(void* data) {
  struct posted* posted = data;
  CHECK(uvreap_post_watch(posted->reaper, posted->pid, on_exit_of, posted->told) == 0);
  return NULL;
}

static void another_thread_may_post(void) {
  struct stage stage;
  struct told told = {0};
  struct told of_nobody = {0};
  pthread_t thread;
  stage_begin(&stage, NULL);
  struct posted posted = {stage.reaper, child_exiting(3), &told};
  REQUIRE(pthread_create(&thread, NULL, post_from_here, &posted) == 0);
  REQUIRE(pthread_join(thread, NULL) == 0);
  RUN_UNTIL(&stage, told.times != 0);
  CHECK(exited_with(&told, 3));
  CHECK(uvreap_post_watch(stage.reaper, getpid(), on_exit_of, &of_nobody) == 0);
  RUN_UNTIL(&stage, of_nobody.times != 0);
  CHECK(of_nobody.exit.error == UV_ESRCH && of_nobody.exit.lost);
  stage_end(&stage);
}

static void terminate_and_a_deadline_end_a_child(void) {
  struct stage stage;
  struct told terminated = {0};
  struct told late = {0};
  uvreap_watch_options_t options = {.size = sizeof options, .timeout_ms = 1, .grace_ms = UVREAP_NONE};
  stage_begin(&stage, NULL);
  pid_t first = child_waiting();
  pid_t second = child_waiting();
  REQUIRE(uvreap_watch(stage.reaper, first, NULL, on_exit_of, &terminated) == 0);
  REQUIRE(uvreap_watch(stage.reaper, second, &options, on_exit_of, &late) == 0);
  CHECK(uvreap_terminate(stage.reaper, first, -1) == UV_EINVAL);
  CHECK(uvreap_terminate(stage.reaper, first, 60000) == 0);
  CHECK(uvreap_terminate(stage.reaper, first, 60000) == UV_EALREADY);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(killed_by(&terminated, SIGTERM) && !terminated.exit.timed_out);
  CHECK(late.times == 1 && WIFSIGNALED(late.exit.status) && late.exit.timed_out);
  stage_end(&stage);
}

/* ---- Every child */

static void any_takes_what_has_no_watch_and_leaves_what_is_excluded(void) {
  struct stage stage;
  struct told unclaimed = {0};
  uvreap_options_t options = {.size = sizeof options,
                              .children = UVREAP_ANY,
                              .unclaimed_grace_ms = UVREAP_NONE,
                              .poll_every_ms = 20,
                              .on_unclaimed = on_exit_of,
                              .on_unclaimed_data = &unclaimed};
  stage_begin(&stage, &options);
  pid_t excluded = child_exiting(4);
  CHECK(uvreap_exclude(stage.reaper, excluded) == 0);
  pid_t pid = child_exiting(5);
  RUN_UNTIL(&stage, unclaimed.times != 0);
  CHECK(exited_with(&unclaimed, 5) && unclaimed.exit.pid == pid);
  CHECK(waitpid(excluded, NULL, 0) == excluded);
  stage_end(&stage);
}

static void sole_parent_goes_with_any_alone(void) {
  uvreap_t* reaper = NULL;
  uvreap_options_t options = {.size = sizeof options, .sole_parent = true};
  REQUIRE(uvreap_new(&reaper, uv_default_loop(), &options) == 0);
  CHECK(uvreap_start(reaper) == UV_EINVAL);
  uvreap_free(reaper);
}

/* ---- Its end, and copies */

static void close_releases_and_says_when_it_is_done(void) {
  struct stage stage;
  struct told told = {0};
  stage_begin(&stage, NULL);
  pid_t pid = child_exiting(3);
  REQUIRE(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == 0);
  CHECK(uvreap_start(stage.reaper) == UV_EALREADY);
  CHECK(uvreap_close(stage.reaper, on_done, &told) == 0);
  CHECK(uvreap_close(stage.reaper, NULL, NULL) == 0);
  CHECK(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == UV_EINVAL);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(told.done == 1 && told.times == 0);
  CHECK(waitpid(pid, NULL, 0) == pid);
  stage_end(&stage);
}

static int copy_that_goes_on(void* data) {
  struct stage* stage = (struct stage*)data;
  struct told told = {0};
  pid_t pid = child_exiting(3);
  if (uvreap_watch(stage->reaper, pid, NULL, on_exit_of, &told) != UV_EPERM) return 11;
  if (uv_loop_fork(&stage->loop) != 0) return 12;
  if (uvreap_after_fork(stage->reaper) != 0) return 13;
  if (uvreap_watch(stage->reaper, pid, NULL, on_exit_of, &told) != 0) return 14;
  RUN_UNTIL(stage, told.times != 0);
  return exited_with(&told, 3) ? 0 : 15;
}

static void a_forked_copy_begins_afresh(void) {
  struct stage stage;
  stage_begin(&stage, NULL);
  CHECK(uvreap_after_fork(stage.reaper) == UV_EINVAL); /* no copy */
  pid_t pid = -1;
  int error = uvreap_process_fork(&pid);
  if (error == 0 && pid == 0) _exit(copy_that_goes_on(&stage));
  REQUIRE(error == 0);
  int status = -1;
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(uvreap_fork(stage.reaper, &pid, exits_with_3, NULL, NULL, NULL) == 0);
  struct told told = {0};
  CHECK(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == 0);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(exited_with(&told, 3));
  stage_end(&stage);
}

static void a_program_that_hears_sigchld_itself_says_so(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_options_t options = {
      .size = sizeof options, .sigchld = UVREAP_SIGCHLD_NEVER, .poll_every_ms = UVREAP_NONE};
  stage_begin(&stage, &options);
  pid_t pid = child_waiting();
  REQUIRE(uvreap_watch(stage.reaper, pid, NULL, on_exit_of, &told) == 0);
  kill(pid, SIGKILL);
  wait_until_ended(pid);
  CHECK(uvreap_sigchld_arrived(stage.reaper) == 0);
  RUN_UNTIL(&stage, told.times != 0);
  CHECK(killed_by(&told, SIGKILL));
  stage_end(&stage);
}

int main(void) {
  const struct test tests[] = {
      TEST(a_child_is_told_once_with_status_and_usage),
      TEST(a_status_that_other_code_took_is_lost),
      TEST(a_pidfd_names_a_child),
      TEST(a_reserved_child_is_told_to_a_later_watch),
      TEST(release_gives_back_and_detach_reaps_in_silence),
      TEST(stops_and_continues_are_told),
      TEST(a_watch_without_ref_does_not_hold_the_loop),
      TEST(another_thread_may_post),
      TEST(terminate_and_a_deadline_end_a_child),
      TEST(any_takes_what_has_no_watch_and_leaves_what_is_excluded),
      TEST(sole_parent_goes_with_any_alone),
      TEST(close_releases_and_says_when_it_is_done),
      TEST(a_forked_copy_begins_afresh),
      TEST(a_program_that_hears_sigchld_itself_says_so),
  };
  return run_tests(tests, sizeof tests / sizeof *tests);
}
