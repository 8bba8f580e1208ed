#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uvreap.h>

static void on_change(const uvreap_change_t* change, void* reaper) {
  if (WIFSTOPPED(change->status)) {
    puts("stopped");
    uvreap_kill(reaper, change->pid, SIGCONT);
  } else {
    puts("continued");
    uvreap_kill(reaper, change->pid, SIGTERM);
  }
}

static void on_end(const uvreap_exit_t* exit, void* reaper) {
  printf("killed by signal %d\n", WTERMSIG(exit->status));
  uvreap_free(reaper);
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  uvreap_t* reaper;
  if (uvreap_new(&reaper, loop, NULL) != 0 || uvreap_start(reaper) != 0) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    raise(SIGSTOP);
    for (;;) pause();
  }
  uvreap_watch_options_t options = {.size = sizeof options, .on_change = on_change};
  if (uvreap_watch(reaper, pid, &options, on_end, reaper) != 0) return 1;
  return uv_run(loop, UV_RUN_DEFAULT);
}
