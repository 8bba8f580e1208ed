#include <stdio.h>
#include <unistd.h>
#include <uvreap.h>

static void tell(const uvreap_exit_t* exit, void* data) {
  char text[256];
  (void)data;
  uvreap_exit_text(exit, text, sizeof text);
  puts(text);
}

int main(void) {
  uvreap_t* reaper;
  if (uvreap_new(&reaper, uv_default_loop(), NULL) != 0 || uvreap_start(reaper) != 0) return 1;
  pid_t pid = fork(); /* or vfork, posix_spawn, clone, a library's: any child of this process */
  if (pid == 0) _exit(execlp("sh", "sh", "-c", "exit 3", (char*)NULL));
  if (uvreap_watch(reaper, pid, NULL, tell, NULL) != 0) return 1; /* no options; no data for tell */
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);                      /* until no child is watched any more */
  uvreap_free(reaper);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT); /* the loop lets go of the reaper's handles */
}
