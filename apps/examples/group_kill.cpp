// Ends a command with all that it started: the shell that runs the script leads a process group, which
// terminate() ends as a whole. SIGTERM, and SIGKILL half a second later for what did not obey.
//
// The grandchildren become orphans; as a subreaper with scope any() we get and reap them, so that not even
// zombies of the group are left, which a container without an init would keep.
#include <signal.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <uvreap/process.hpp>
#include <uvreap/reaper.hpp>

namespace {

// One of the sleepers ignores SIGTERM. "ready" comes when it does.
constexpr auto script = "sleep 600 & (trap '' TERM; echo ready; exec sleep 600) & wait";

struct scene {
  uvreap::reaper reaper;
  pid_t group = 0;
  std::array<char, 64> part{};
  uv_pipe_t output{};
  uv_timer_t look{};
};

bool has_members(pid_t group) { return ::kill(-group, 0) == 0 || errno != ESRCH; }

void give_room(uv_handle_t* handle, size_t, uv_buf_t* room) {
  auto& part = static_cast<scene*>(handle->data)->part;
  *room = uv_buf_init(part.data(), sizeof part);
}

// The script has started all that it starts, and now all of it has to go.
void on_output(uv_stream_t* output, ssize_t length, const uv_buf_t*) {
  auto* all = static_cast<scene*>(output->data);
  if (length < 0) return uv_close(reinterpret_cast<uv_handle_t*>(output), nullptr);
  std::cout << "ending group " << all->group << std::endl;
  (void)all->reaper.terminate(all->group, std::chrono::milliseconds(500));
}

void look(uv_timer_t* timer) {
  if (!has_members(static_cast<scene*>(timer->data)->group)) uv_timer_stop(timer);
}

void tell(const uvreap::child_exit& exit) { std::cout << "the command: " << exit.status << std::endl; }
void tell_orphan(const uvreap::child_exit& exit) { std::cout << "left by it: " << exit.status << std::endl; }

}  // namespace

int main() {
  uv_loop_t* loop = uv_default_loop();
  uvreap::options options{.children = uvreap::scope::any(), .on_unclaimed = tell_orphan};
  scene all{.reaper = uvreap::reaper(*loop, options)};
  if (uvreap::become_subreaper() != 0 || all.reaper.start() != 0) return 1;

  int from_child = -1;
  uvreap::command command{.argv = {"sh", "-c", script}};
  command.group = uvreap::process_group::created;
  command.output = uvreap::stdio::pipe(&from_child);
  if (int error = all.reaper.spawn(&all.group, command, tell); error != 0) {
    return std::cerr << uv_strerror(error) << '\n', 1;
  }
  all.output.data = all.look.data = &all;
  uv_pipe_init(loop, &all.output, 0);
  uv_pipe_open(&all.output, from_child);
  uv_read_start(reinterpret_cast<uv_stream_t*>(&all.output), give_room, on_output);
  // Orphans do not hold the loop, so this does until the group is empty.
  uv_timer_init(loop, &all.look);
  uv_timer_start(&all.look, look, 10, 10);

  uv_run(loop, UV_RUN_DEFAULT);
  bool left = has_members(all.group);
  std::cout << (left ? "some are left" : "none is left") << std::endl;
  return left ? 1 : 0;
}
