/* The C face given NULL, structs of other versions, numbers that are none: an error each time, and no harm.
 */
#include <limits.h>

#include "support/c_test.h"

static int main_of_none(void* data) {
  (void)data;
  return 0;
}

static void null_is_einval_to_every_call(void) {
  struct stage stage;
  uvreap_t* out = NULL;
  pid_t pid = 77;
  uvreap_stats_t stats = {.size = sizeof stats};
  uvreap_command_t command = {.size = sizeof command, .argv = (char*[]){"true", NULL}};
  stage_begin(&stage, NULL);
  uvreap_t* reaper = stage.reaper;

  CHECK(uvreap_new(NULL, &stage.loop, NULL) == UV_EINVAL);
  CHECK(uvreap_new(&out, NULL, NULL) == UV_EINVAL);
  CHECK(uvreap_start(NULL) == UV_EINVAL);
  CHECK(uvreap_close(NULL, NULL, NULL) == UV_EINVAL);
  uvreap_free(NULL);
  CHECK(uvreap_watch(NULL, 1, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_watch_pidfd(NULL, 1, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_post_watch(NULL, 1, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_release(NULL, 1) == UV_EINVAL);
  CHECK(uvreap_detach(NULL, 1) == UV_EINVAL);
  CHECK(uvreap_exclude(NULL, 1) == UV_EINVAL);
  CHECK(uvreap_kill(NULL, 1, 0) == UV_EINVAL);
  CHECK(uvreap_terminate(NULL, 1, 0) == UV_EINVAL);
  CHECK(uvreap_spawn(NULL, &pid, &command, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_spawn(reaper, NULL, &command, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_spawn(reaper, &pid, NULL, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_spawn_async(NULL, &command, NULL, on_started, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_spawn_async(reaper, NULL, NULL, on_started, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_spawn_async(reaper, &command, NULL, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_fork(NULL, &pid, main_of_none, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_fork(reaper, NULL, main_of_none, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_fork(reaper, &pid, NULL, NULL, on_exit_of, NULL) == UV_EINVAL);
  CHECK(uvreap_sigchld_arrived(NULL) == UV_EINVAL);
  CHECK(uvreap_after_fork(NULL) == UV_EINVAL);
  CHECK(uvreap_stats(NULL, &stats) == UV_EINVAL);
  CHECK(uvreap_stats(reaper, NULL) == UV_EINVAL);
  CHECK(uvreap_process_fork(NULL) == UV_EINVAL);
  CHECK(uvreap_process_spawn(NULL, &command) == UV_EINVAL);
  CHECK(uvreap_process_spawn(&pid, NULL) == UV_EINVAL);
  CHECK(uvreap_usage_text(NULL, NULL, 0) == UV_EINVAL);
  CHECK(uvreap_exit_text(NULL, NULL, 0) == UV_EINVAL);
  CHECK(uvreap_change_text(NULL, NULL, 0) == UV_EINVAL);
  CHECK(uvreap_stats_text(NULL, NULL, 0) == UV_EINVAL);
  CHECK(uvreap_status_text(0, NULL, 1) == UV_EINVAL);
  CHECK(pid == 77 && out == NULL);
  stage_end(&stage);
}

static void numbers_that_are_none(void) {
  const pid_t none[] = {0, -1, -4711, INT_MIN};
  struct stage stage;
  stage_begin(&stage, NULL);
  for (size_t i = 0; i < sizeof none / sizeof *none; ++i) {
    CHECK(uvreap_watch(stage.reaper, none[i], NULL, on_exit_of, NULL) == UV_EINVAL);
    CHECK(uvreap_release(stage.reaper, none[i]) == UV_EINVAL);
    CHECK(uvreap_detach(stage.reaper, none[i]) == UV_EINVAL);
    CHECK(uvreap_kill(stage.reaper, none[i], 0) == UV_EINVAL);
    CHECK(uvreap_terminate(stage.reaper, none[i], 0) == UV_EINVAL);
  }
  CHECK(uvreap_watch(stage.reaper, getpid(), NULL, on_exit_of, NULL) == UV_ESRCH);
  CHECK(uvreap_process_wait4(INT_MIN, WNOHANG, NULL, NULL) == UV_EINVAL);
  stage_end(&stage);
}

/* ---- Sizes */

static int error_of_watch(const uvreap_watch_options_t* options) {
  struct stage stage;
  stage_begin(&stage, NULL);
  pid_t pid = child_exiting(0);
  int error = uvreap_watch(stage.reaper, pid, options, on_exit_of, &(struct told){0});
  stage_end(&stage); /* which releases it */
  CHECK(waitpid(pid, NULL, 0) == pid);
  return error;
}

/* A member that is added lies beyond the size of before only where there is no padding behind the last one.
 */
#define ENDS_WITH(type, member)                                                       \
  _Static_assert(offsetof(type, member) + sizeof(((type*)0)->member) == sizeof(type), \
                 #type " ends with padding")
ENDS_WITH(uvreap_options_t, on_unclaimed_data);
ENDS_WITH(uvreap_watch_options_t, grace_ms);
ENDS_WITH(uvreap_command_t, drain_ms);
ENDS_WITH(uvreap_stats_t, held_pidfds);

/* As a later header may have it. */
struct newer {
  uvreap_watch_options_t known;
  int64_t added;
};

static void a_size_says_which_header_the_caller_has(void) {
  const uvreap_watch_options_t zeroed = {.size = sizeof zeroed};
  CHECK(error_of_watch(&zeroed) == 0);

  uvreap_watch_options_t bad = zeroed;
  const size_t sizes[] = {0, 1, sizeof(size_t), sizeof(void*), sizeof bad - 1, 5000, SIZE_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    bad.size = sizes[i];
    CHECK(error_of_watch(&bad) == UV_EINVAL);
  }
  struct newer newer = {.known = {.size = sizeof newer}};
  CHECK(error_of_watch(&newer.known) == 0);
  newer.added = 1;
  CHECK(error_of_watch(&newer.known) == UV_ENOTSUP);
}

static void figures_are_written_into_what_the_caller_has_room_for(void) {
  struct stage stage;
  struct {
    uvreap_stats_t known;
    int64_t added;
  } newer = {.known = {.size = sizeof newer}, .added = 77};
  stage_begin(&stage, NULL);
  CHECK(uvreap_stats(stage.reaper, &newer.known) == 0);
  CHECK(newer.known.size == sizeof newer && newer.added == 0);
  newer.known.size = sizeof newer.known;
  newer.added = 77;
  CHECK(uvreap_stats(stage.reaper, &newer.known) == 0 && newer.added == 77);
  newer.known.size = sizeof newer.known - 1;
  CHECK(uvreap_stats(stage.reaper, &newer.known) == UV_EINVAL);
  CHECK(uvreap_stats_text(&newer.known, NULL, 0) == UV_EINVAL);
  stage_end(&stage);
}

static void values_of_options_that_are_none(void) {
  const uvreap_options_t good = {.size = sizeof good};
  uvreap_options_t bad[] = {good, good, good, good, good, good, good, good};
  bad[0].children = 2;
  bad[1].backend = UVREAP_BACKEND_PEEK + 1;
  bad[2].backend = INT_MIN;
  bad[3].sigchld = -1;
  bad[4].budget = -1;
  bad[5].poll_every_ms = -2;
  bad[6].unclaimed_grace_ms = INT64_MIN;
  bad[7].spawn_queue = -1;
  uvreap_t* out = NULL;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    if (uvreap_new(&out, uv_default_loop(), &bad[i]) != UV_EINVAL) printf("options %zu\n", i), ++failures;
  }
  CHECK(out == NULL);

  uvreap_watch_options_t options = {.size = sizeof options, .timeout_ms = -1};
  CHECK(error_of_watch(&options) == UV_EINVAL);
  options = (uvreap_watch_options_t){.size = sizeof options, .grace_ms = -2};
  CHECK(error_of_watch(&options) == UV_EINVAL);
  options = (uvreap_watch_options_t){.size = sizeof options, .timeout_ms = INT64_MAX, .grace_ms = INT64_MAX};
  CHECK(error_of_watch(&options) == 0);

  struct stage stage;
  pid_t pid = 77;
  const uvreap_command_t sound = {.size = sizeof sound, .argv = (char*[]){"true", NULL}};
  stage_begin(&stage, NULL);
  uvreap_command_t command = sound;
  command.output.reserved[3] = 1; /* as of a newer header */
  CHECK(uvreap_spawn(stage.reaper, &pid, &command, NULL, on_exit_of, NULL) == UV_ENOTSUP);
  command = sound;
  command.output = (uvreap_stdio_t){.kind = UVREAP_STDIO_CAPTURED, .limit = -2};
  CHECK(uvreap_spawn(stage.reaper, &pid, &command, NULL, on_exit_of, NULL) == UV_EINVAL && pid == 77);
  stage_end(&stage);
}

/* ---- Text */

static void text_is_cut_as_by_snprintf(void) {
  char buffer[64];
  memset(buffer, 'x', sizeof buffer);
  CHECK(uvreap_status_text(3 << 8, NULL, 0) == (int)strlen("exited with 3"));
  CHECK(uvreap_status_text(3 << 8, buffer, 7) == (int)strlen("exited with 3"));
  CHECK(memcmp(buffer, "exited\0x", 8) == 0);
  CHECK(uvreap_status_text(-1, buffer, sizeof buffer) > 0 && strcmp(buffer, "unknown") == 0);
  CHECK(uvreap_notice_text(UVREAP_NOTICE_POLLER, buffer, sizeof buffer) > 0 && strcmp(buffer, "poller") == 0);
  CHECK(uvreap_backend_text(UVREAP_BACKEND_RING, buffer, sizeof buffer) > 0 && strcmp(buffer, "ring") == 0);
  CHECK(uvreap_backend_text(-7, buffer, sizeof buffer) > 0 && strcmp(buffer, "unknown") == 0);
  CHECK(uvreap_sigchld_health_text(UVREAP_SIGCHLD_UNHEARD, buffer, sizeof buffer) > 0);
  CHECK(strcmp(buffer, "unheard") == 0);

  uvreap_exit_t lost = {.pid = 7, .status = -1, .lost = true, .noticed_by = UVREAP_NOTICE_POLLER};
  char line[200];
  CHECK(uvreap_exit_text(&lost, line, sizeof line) > 0);
  CHECK(strncmp(line, "pid 7 lost", 10) == 0 && strstr(line, "poller") != NULL);
  uvreap_change_t change = {.pid = 7, .status = 0xffff};
  CHECK(uvreap_change_text(&change, line, sizeof line) > 0 && strcmp(line, "pid 7 continued") == 0);
  uvreap_usage_t usage = {.user_time_us = 5, .blocks_out = 9};
  CHECK(uvreap_usage_text(&usage, line, sizeof line) > 0);
  CHECK(strncmp(line, "user 5 us", 9) == 0 && strstr(line, "0+9") != NULL);
}

int main(void) {
  const struct test tests[] = {
      TEST(null_is_einval_to_every_call),
      TEST(numbers_that_are_none),
      TEST(a_size_says_which_header_the_caller_has),
      TEST(figures_are_written_into_what_the_caller_has_room_for),
      TEST(values_of_options_that_are_none),
      TEST(text_is_cut_as_by_snprintf),
  };
  return run_tests(tests, sizeof tests / sizeof *tests);
}
