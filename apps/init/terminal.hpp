// The terminal, if there is one: the child has it while it runs, and a shell above us gets it back.
#pragma once

#include <sys/types.h>

namespace pid1 {

class terminal {
 public:
  terminal();
  ~terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;

  [[nodiscard]] bool is_there() const { return descriptor_ >= 0; }

  // In the forked child: a process group of its own, in the foreground if we are there; where standard input
  // is a terminal that no session has, a session of its own with that one.
  void enter_group() const;

  // What dumb-init does instead: we let go of our terminal, and the child leads a session and takes it if no
  // other session has it. So keys come to us, and the child is stopped by what we hand on.
  void leave();
  void enter_session() const;

  void give_to(pid_t group) const;         // if it is ours to give
  void take_back_from(pid_t group) const;  // if that group has it

  // The child was stopped. As a member of a shell's job we stop, too, and return when the shell goes on with
  // us; true. False: there is no shell that would (PID 1, no terminal, a session's leader, or the kernel
  // knows of nobody who could continue us).
  [[nodiscard]] bool stop_beside(pid_t group) const;

  // The terminal's own way to stop a job, or the child that has it: then whoever sits there is stuck.
  [[nodiscard]] bool is_stopped(pid_t group, int signum) const;

 private:
  int descriptor_;
  bool is_free_ = false;
};

}  // namespace pid1
