// What the pieces of C++ in the documents take as given (docs/guide.md says so): each becomes the body of a
// function behind this.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <iostream>
#include <thread>
#include <uvreap/reaper.hpp>

#include "../support/waiting.hpp"

extern uv_loop_t* loop;
extern uvreap::reaper reaper;
extern pid_t pid;
void on_end(const uvreap::child_exit&);

using task = test::waiting;  // of a piece that awaits
