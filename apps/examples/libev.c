#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(struct ev_loop* loop, ev_child* child, int events) {
  int status = child->rstatus;
  (void)events;
  if (WIFSTOPPED(status)) {
    puts("stopped");
    kill(child->rpid, SIGCONT);
  } else if (WIFCONTINUED(status)) {
    puts("continued");
    kill(child->rpid, SIGTERM);
  } else {
    ev_child_stop(loop, child);
    printf("killed by signal %d\n", WTERMSIG(status));
  }
}

int main(void) {
  struct ev_loop* loop = ev_default_loop(0);
  pid_t pid = fork();
  if (pid == 0) {
    raise(SIGSTOP);
    for (;;) pause();
  }
  ev_child child;
  ev_child_init(&child, on_child, pid, 1); /* 1: stops and continues, too */
  ev_child_start(loop, &child);
  return ev_run(loop, 0);
}
