/* Commands in C: arguments, environment, streams, groups; with a reaper, off the loop, and without a reaper.
 */
#include <fcntl.h>

#include "support/c_test.h"

#define ARGV(...) ((char*[]){__VA_ARGS__, NULL})
#define SHELL(script) ARGV("sh", "-c", script)

static uvreap_command_t captured(char* const* argv) {
  return (uvreap_command_t){.size = sizeof(uvreap_command_t),
                            .argv = argv,
                            .output = {.kind = UVREAP_STDIO_CAPTURED, .limit = 60},
                            .error_output = {.kind = UVREAP_STDIO_CAPTURED, .limit = 60}};
}

/* Runs it to its end. */
static struct told run(const uvreap_command_t* command) {
  struct stage stage;
  struct told told = {0};
  pid_t pid = -1;
  stage_begin(&stage, NULL);
  int error = uvreap_spawn(stage.reaper, &pid, command, NULL, on_exit_of, &told);
  if (error != 0) printf("uvreap_spawn: %s\n", uv_strerror(error));
  REQUIRE(error == 0);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(told.times == 1 && told.exit.pid == pid);
  stage_end(&stage);
  return told;
}

static int error_of(const uvreap_command_t* command) {
  struct stage stage;
  pid_t pid = -1;
  stage_begin(&stage, NULL);
  int error = uvreap_spawn(stage.reaper, &pid, command, NULL, on_exit_of, NULL);
  CHECK(pid == -1);
  stage_end(&stage);
  return error;
}

/* ---- Streams */

static void captured_streams_come_with_the_exit(void) {
  uvreap_command_t command = captured(SHELL("echo out; echo err >&2; exit 3"));
  struct told told = run(&command);
  CHECK(WEXITSTATUS(told.exit.status) == 3);
  CHECK(strcmp(told.output, "out\n") == 0 && strcmp(told.error_output, "err\n") == 0);
  CHECK(!told.exit.output.cut_by_limit && !told.exit.output.cut_by_time);

  command = captured(SHELL("echo longer than three bytes"));
  command.output.limit = 3;
  told = run(&command);
  CHECK(strcmp(told.output, "lon") == 0 && told.exit.output.cut_by_limit);

  command.output.limit = 0;
  told = run(&command);
  CHECK(strcmp(told.output, "longer than three bytes\n") == 0 && !told.exit.output.cut_by_limit);
  command.output.limit = UVREAP_NONE;
  told = run(&command);
  CHECK(told.output[0] == '\0' && told.exit.output.cut_by_limit);

  command = captured(SHELL("echo out; echo err >&2"));
  command.error_output = (uvreap_stdio_t){.kind = UVREAP_STDIO_SAME_AS_OUTPUT};
  told = run(&command);
  CHECK(strcmp(told.output, "out\nerr\n") == 0 && told.error_output[0] == '\0');
}

static void what_a_left_child_holds_is_waited_for_as_long_as_is_said(void) {
  uvreap_command_t command = captured(SHELL("sleep 300 & echo $!"));
  command.drain_ms = UVREAP_NONE;
  struct told told = run(&command);
  CHECK(told.exit.output.cut_by_time);
  pid_t left = (pid_t)atoi(told.output);
  REQUIRE(left > 1);
  kill(left, SIGKILL); /* no child of ours */
}

static void pipes_files_and_descriptors(void) {
  struct stage stage;
  struct told told = {0};
  int to_child = -1;
  int from_child = -1;
  char text[8] = "";
  pid_t pid = -1;
  stage_begin(&stage, NULL);
  uvreap_command_t cat = {.size = sizeof cat,
                          .argv = ARGV("cat"),
                          .input = {.kind = UVREAP_STDIO_PIPE, .our_end = &to_child},
                          .output = {.kind = UVREAP_STDIO_PIPE, .our_end = &from_child}};
  REQUIRE(uvreap_spawn(stage.reaper, &pid, &cat, NULL, on_exit_of, &told) == 0);
  CHECK(write(to_child, "abc", 3) == 3);
  close(to_child);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(read(from_child, text, sizeof text) == 3 && memcmp(text, "abc", 3) == 0);
  close(from_child);
  stage_end(&stage);

  int ends[2];
  REQUIRE(pipe(ends) == 0);
  uvreap_command_t echo = captured(SHELL("cat; echo to descriptor >&2"));
  echo.input = (uvreap_stdio_t){.kind = UVREAP_STDIO_NULL};
  echo.error_output = (uvreap_stdio_t){.kind = UVREAP_STDIO_DESCRIPTOR, .descriptor = ends[1]};
  told = run(&echo);
  CHECK(told.output[0] == '\0');
  CHECK(read(ends[0], text, 2) == 2 && memcmp(text, "to", 2) == 0);
  close(ends[0]);
  close(ends[1]);

  uvreap_command_t of_file = captured(ARGV("head", "-c", "6"));
  of_file.input = (uvreap_stdio_t){.kind = UVREAP_STDIO_FILE, .path = "/proc/self/status", .flags = O_RDONLY};
  told = run(&of_file);
  CHECK(strcmp(told.output, "Name:\t") == 0);
}

/* ---- What is around it */

static void directory_program_and_environment(void) {
  uvreap_command_t command = captured(SHELL("echo $0 $PWD"));
  command.cwd = "/";
  command.program = "/bin/sh";
  command.argv = ARGV("-its-name", "-c", "echo $0 $PWD");
  struct told told = run(&command);
  CHECK(strcmp(told.output, "-its-name /\n") == 0);

  setenv("UVREAP_TEST_A", "ours", 1);
  setenv("UVREAP_TEST_B", "ours", 1);
  char script[] = "echo \"$UVREAP_TEST_A-$UVREAP_TEST_B-$UVREAP_TEST_C\"";
  command = captured(SHELL(script));
  command.env_set = ARGV("UVREAP_TEST_C=a=b");
  command.env_unset = ARGV("UVREAP_TEST_B");
  told = run(&command);
  CHECK(strcmp(told.output, "ours--a=b\n") == 0);

  command = captured(SHELL(script));
  command.program = "/bin/sh";
  command.envp = ARGV("UVREAP_TEST_A=first", "UVREAP_TEST_A=second", "UVREAP_TEST_C=its");
  command.env_set = ARGV("UVREAP_TEST_C=set");
  told = run(&command);
  CHECK(strcmp(told.output, "first--set\n") == 0);
  unsetenv("UVREAP_TEST_A");
  unsetenv("UVREAP_TEST_B");
}

static void groups_signals_and_descriptors(void) {
  uvreap_command_t command = captured(SHELL("ps -o pgid=,sid= -p $$ | tr -s ' '"));
  command.group = UVREAP_GROUP_SESSION;
  struct told told = run(&command);
  int group = 0;
  int session = 0;
  CHECK(sscanf(told.output, "%d %d", &group, &session) == 2);
  CHECK(group == (int)told.exit.pid && session == group);

  command = captured(SHELL("kill -PIPE $$; echo ignored"));
  CHECK(WTERMSIG(run(&command).exit.status) == SIGPIPE); /* which run_tests() ignores */
  command.signals = UVREAP_SIGNALS_INHERITED;
  told = run(&command);
  CHECK(strcmp(told.output, "ignored\n") == 0);

  int kept = dup(1);
  char script[64];
  snprintf(script, sizeof script, "[ -e /proc/self/fd/%d ]", kept);
  command = captured(SHELL(script));
  CHECK(WEXITSTATUS(run(&command).exit.status) == 1);
  command.keep_descriptors = true;
  CHECK(WEXITSTATUS(run(&command).exit.status) == 0);
  close(kept);
}

/* ---- Refused */

static void what_cannot_be_run_is_an_error_and_no_child(void) {
  uvreap_command_t command = captured(ARGV("/nowhere-to-be-found"));
  CHECK(error_of(&command) == UV_ENOENT);
  command.argv = ARGV("sh");
  command.cwd = "/nowhere-to-be-found";
  CHECK(error_of(&command) == UV_ENOENT);
  command = captured(NULL);
  CHECK(error_of(&command) == UV_EINVAL);
  command = captured((char*[]){NULL});
  CHECK(error_of(&command) == UV_EINVAL);
}

static void values_that_are_none_are_einval(void) {
  const uvreap_command_t good = captured(ARGV("true"));
  uvreap_command_t bad[] = {good, good, good, good, good, good, good, good, good, good};
  bad[0].output.kind = 99;
  bad[1].input.kind = UVREAP_STDIO_SAME_AS_OUTPUT;
  bad[2].input.kind = UVREAP_STDIO_CAPTURED;
  bad[3].output = (uvreap_stdio_t){.kind = UVREAP_STDIO_FILE};
  bad[4].output = (uvreap_stdio_t){.kind = UVREAP_STDIO_PIPE};
  bad[5].group = -1;
  bad[6].signals = 2;
  bad[7].drain_ms = -2;
  bad[8].envp = ARGV("no-equals-sign");
  bad[9].env_set = ARGV("=no name");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    if (error_of(&bad[i]) != UV_EINVAL) printf("command %zu\n", i), ++failures;
  }
  uvreap_command_t command = good;
  command.output = (uvreap_stdio_t){.kind = UVREAP_STDIO_DESCRIPTOR, .descriptor = -1};
  CHECK(error_of(&command) == UV_EBADF);
}

/* ---- Off the loop, and without a reaper */

static void off_the_loop_started_comes_before_the_exit(void) {
  struct stage stage;
  struct told told = {0};
  struct told refused = {0};
  stage_begin(&stage, NULL);
  uvreap_command_t command = {.size = sizeof command, .argv = SHELL("exit 3")};
  uvreap_command_t missing = {.size = sizeof missing, .argv = ARGV("/nowhere-to-be-found")};
  REQUIRE(uvreap_spawn_async(stage.reaper, &command, NULL, on_started, on_exit_of, &told) == 0);
  REQUIRE(uvreap_spawn_async(stage.reaper, &missing, NULL, on_started, on_exit_of, &refused) == 0);
  CHECK(told.started_times == 0);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(told.started_times == 1 && told.started_error == 0 && told.times == 1);
  CHECK(told.started_pid == told.exit.pid && WEXITSTATUS(told.exit.status) == 3);
  CHECK(refused.started_times == 1 && refused.started_error == UV_ENOENT && refused.times == 0);
  stage_end(&stage);
}

static void close_tells_those_that_have_not_started(void) {
  struct stage stage;
  struct told told = {0};
  uvreap_command_t command = {.size = sizeof command, .argv = ARGV("true")};
  stage_begin(&stage, NULL);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(uvreap_spawn_async(stage.reaper, &command, NULL, on_started, on_exit_of, &told) == 0);
  }
  REQUIRE(uvreap_close(stage.reaper, on_done, &told) == 0);
  CHECK(told.started_times == 5);
  uv_run(&stage.loop, UV_RUN_DEFAULT);
  CHECK(told.done == 1 && told.times == 0);
  while (waitpid(-1, NULL, 0) > 0) continue; /* those that had started are ours */
  stage_end(&stage);
}

struct freeing {
  uvreap_t* reaper;
  int started;
  int start_answered;
};

static void frees_when_told_of_an_error(int error, pid_t pid, void* data) {
  struct freeing* one = data;
  ++one->started;
  CHECK(error != 0 && pid == 0);
  uvreap_free(one->reaper);
  one->start_answered = uvreap_start(one->reaper);
}

static void free_may_be_called_again_by_whom_it_tells(void) {
  uv_loop_t loop;
  struct freeing one = {0};
  uvreap_command_t command = {.size = sizeof command, .argv = ARGV("/nowhere/to-be-found")};
  REQUIRE(uv_loop_init(&loop) == 0);
  REQUIRE(uvreap_new(&one.reaper, &loop, NULL) == 0 && uvreap_start(one.reaper) == 0);
  for (int i = 0; i < 3; ++i) {
    int error = uvreap_spawn_async(one.reaper, &command, NULL, frees_when_told_of_an_error, on_exit_of, &one);
    REQUIRE(error == 0);
  }
  uvreap_free(one.reaper);
  CHECK(one.started == 3);
  CHECK(one.start_answered == UV_EINVAL);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

static void without_a_reaper(void) {
  pid_t pid = -1;
  int status = -1;
  uvreap_usage_t usage = {0};
  uvreap_command_t command = {.size = sizeof command, .argv = SHELL("exit 3")};
  REQUIRE(uvreap_process_spawn(&pid, &command) == 0);
  wait_until_ended(pid);
  CHECK(uvreap_process_wait4(pid, WNOHANG, &status, &usage) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3 && usage.max_rss_bytes > 0);
  CHECK(uvreap_process_wait4(pid, WNOHANG, NULL, NULL) == UV_ESRCH);
  CHECK(uvreap_process_wait4(-1, WNOHANG, NULL, NULL) == UV_ESRCH);
  CHECK(uvreap_process_wait4(pid, -1, NULL, NULL) == UV_EINVAL);
  command = captured(SHELL("exit 3"));
  CHECK(uvreap_process_spawn(&pid, &command) == UV_EINVAL); /* who would read it? */
  CHECK(uvreap_become_subreaper() == 0);
}

int main(void) {
  const struct test tests[] = {
      TEST(captured_streams_come_with_the_exit),
      TEST(what_a_left_child_holds_is_waited_for_as_long_as_is_said),
      TEST(pipes_files_and_descriptors),
      TEST(directory_program_and_environment),
      TEST(groups_signals_and_descriptors),
      TEST(what_cannot_be_run_is_an_error_and_no_child),
      TEST(values_that_are_none_are_einval),
      TEST(off_the_loop_started_comes_before_the_exit),
      TEST(close_tells_those_that_have_not_started),
      TEST(free_may_be_called_again_by_whom_it_tells),
      TEST(without_a_reaper),
  };
  return run_tests(tests, sizeof tests / sizeof *tests);
}
