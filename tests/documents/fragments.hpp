// What the pieces of C++ in the documents take as given (docs/guide.md says so): each becomes the body of a
// function behind this.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <exception>
#include <iostream>
#include <thread>
#include <uvreap/reaper.hpp>

extern uv_loop_t* loop;
extern uvreap::reaper reaper;
extern pid_t pid;
void on_end(const uvreap::child_exit&);

// Of a piece that awaits.
struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};
