/* What the pieces of C in the documents take as given: each becomes the body of a function behind this. */
#include <stdio.h>
#include <unistd.h>
#include <uvreap.h>

extern uv_loop_t* loop;
extern uvreap_t* reaper;
extern pid_t pid;
void on_end(const uvreap_exit_t*, void* data);
void on_uv_exit(uv_process_t*, int64_t exit_status, int term_signal);
