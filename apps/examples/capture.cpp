// Runs several commands at once and prints what each wrote, whole and unmixed, when it has ended: the reaper
// reads for us. What is beyond a limit, or held open by a process left behind, is cut and said so.
#include <iostream>
#include <uvreap/reaper.hpp>

namespace {

void print(const std::string& name, const uvreap::child_exit& exit) {
  std::cout << "---- " << name << ": " << exit.status << '\n' << exit.output.bytes;
  if (exit.output.cut_by_limit) std::cout << "[cut: more than the limit]\n";
  if (exit.output.cut_by_time) std::cout << "[cut: a process still holds it]\n";
}

}  // namespace

int main() {
  uv_loop_t* loop = uv_default_loop();
  uvreap::reaper reaper(*loop);
  if (reaper.start() != 0) return 1;

  for (std::string script :
       {"echo one; sleep 0.1; echo two", "seq 100000", "sleep 2 & echo left one behind"}) {
    uvreap::command command{.argv = {"sh", "-c", script}};
    command.error_output = uvreap::stdio::same_as_output();
    command.drain = std::chrono::milliseconds(200);
    command.capture(20);
    pid_t pid = 0;
    int error =
        reaper.spawn(&pid, command, [script](const uvreap::child_exit& exit) { print(script, exit); });
    if (error != 0) std::cerr << script << ": " << uv_strerror(error) << '\n';
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}
