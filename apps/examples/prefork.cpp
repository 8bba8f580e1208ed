// A prefork server: prefork [WORKERS]. The master makes the workers by reaper.fork(); all of them accept on
// one socket, whose port it prints. A connection is told the pid of the worker that has it, and the line
// "quit" ends that worker with 3. The master replaces a worker that ended, later and later if they end young,
// so that one that fails at once does not spin. SIGTERM ends the workers, and then the master.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <string>
#include <uvreap/reaper.hpp>
#include <vector>

namespace {

using std::chrono::milliseconds;

// ---- A worker

struct connection {
  uv_tcp_t socket;
  std::array<char, 256> part;
  std::string line;
};

void close(connection* client) {
  uv_close(reinterpret_cast<uv_handle_t*>(&client->socket),
           [](uv_handle_t* socket) { delete static_cast<connection*>(socket->data); });
}

void give_room(uv_handle_t* socket, size_t, uv_buf_t* room) {
  auto& part = static_cast<connection*>(socket->data)->part;
  *room = uv_buf_init(part.data(), sizeof part);
}

void on_read(uv_stream_t* socket, ssize_t length, const uv_buf_t* read) {
  auto* client = static_cast<connection*>(socket->data);
  if (length < 0) return close(client);
  client->line.append(read->base, static_cast<size_t>(length));
  if (client->line.starts_with("quit\n")) ::_exit(3);  // a forked child ends by _exit, wherever it is
  if (client->line.size() > 100) close(client);
}

void on_connection(uv_stream_t* server, int error) {
  if (error != 0) return;
  auto* client = new connection{};
  client->socket.data = client;
  uv_tcp_init(server->loop, &client->socket);
  auto* socket = reinterpret_cast<uv_stream_t*>(&client->socket);
  std::string answer = std::to_string(::getpid()) + '\n';
  uv_buf_t text = uv_buf_init(answer.data(), static_cast<unsigned>(answer.size()));
  bool good = uv_accept(server, socket) == 0 && uv_try_write(socket, &text, 1) > 0;  // it fits, or it is gone
  if (!good || uv_read_start(socket, give_room, on_read) != 0) close(client);
}

// A loop of its own; the master's loop and reaper lie untouched in the copied memory, which is all that they
// need. Going on with the master's loop (uv_loop_fork, then after_fork) would mean closing every handle of
// the master's in it. But no uv_signal_t here: libuv, which keeps one table for all loops of a process, would
// write the signal into the pipe of the master's loop too, and the master take it for its own. There is no
// need for one: in a child of reaper.fork() SIGTERM has its default again.
int serve(int listener, pid_t master) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // it ends with the master, however that ends
  ::signal(SIGPIPE, SIG_IGN);          // clients go away
  uv_loop_t loop;
  uv_tcp_t server;
  if (::getppid() != master || uv_loop_init(&loop) != 0 || uv_tcp_init(&loop, &server) != 0) return 1;
  if (uv_tcp_open(&server, listener) != 0) return 1;
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&server), 128, on_connection) != 0) return 1;
  return uv_run(&loop, UV_RUN_DEFAULT);
}

// ---- The master

struct master {
  struct place {
    struct master* of;
    uv_timer_t again;
    pid_t pid = 0;  // 0: it is empty
    std::uint64_t began_ms = 0;
    milliseconds delay{0};
  };

  uvreap::reaper reaper;
  int listener = -1;
  std::vector<place> places;
  uv_signal_t on_term{};
  bool ending = false;

  void make(place& at) {
    at.began_ms = uv_now(at.again.loop);
    auto work = [this, parent = ::getpid()] { return serve(listener, parent); };
    int error = reaper.fork(&at.pid, work, [&](const uvreap::child_exit& exit) { ended(at, exit); });
    if (error != 0) return make_again(at, uv_strerror(error));
    std::cout << "worker " << at.pid << " began" << std::endl;
  }

  void ended(place& at, const uvreap::child_exit& exit) {
    at.pid = 0;
    if (ending) return;
    if (uv_now(at.again.loop) - at.began_ms > 10'000) at.delay = {};  // it was a good one
    make_again(at, "worker " + std::to_string(exit.pid) + ' ' + exit.status.text());
  }

  void make_again(place& at, const std::string& why) {
    at.delay = std::clamp(at.delay * 2, milliseconds(100), milliseconds(6400));
    std::cout << why << ", the next in " << at.delay.count() << " ms" << std::endl;
    auto now = [](uv_timer_t* timer) {
      auto* to = static_cast<place*>(timer->data);
      to->of->make(*to);
    };
    uv_timer_start(&at.again, now, static_cast<std::uint64_t>(at.delay.count()), 0);
  }

  void end() {
    ending = true;
    for (place& at : places) {
      uv_timer_stop(&at.again);
      if (at.pid != 0) (void)reaper.terminate(at.pid, milliseconds(2000));  // an error: it has ended already
    }
    uv_signal_stop(&on_term);  // now nothing but the workers holds the loop
  }
};

// A plain descriptor and no handle of the master's loop, so there is nothing that a worker has to close.
int listen_on_loopback() {
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", 0, &address);
  socklen_t size = sizeof address;
  auto* at = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, at, size) != 0 || ::listen(listener, 128) != 0) return -1;
  if (::getsockname(listener, at, &size) != 0) return -1;
  std::cout << "port " << ntohs(address.sin_port) << std::endl;
  return listener;
}

}  // namespace

int main(int argc, char** argv) {
  int workers = argc > 1 ? std::atoi(argv[1]) : 2;
  if (workers < 1 || workers > 100) return std::cerr << "usage: prefork [WORKERS]\n", 2;
  uv_loop_t* loop = uv_default_loop();
  master master{.reaper = uvreap::reaper(*loop)};
  master.listener = listen_on_loopback();
  if (master.listener < 0 || master.reaper.start() != 0) return 1;

  master.on_term.data = &master;
  auto end = [](uv_signal_t* handle, int) { static_cast<struct master*>(handle->data)->end(); };
  uv_signal_init(loop, &master.on_term);
  if (uv_signal_start(&master.on_term, end, SIGTERM) != 0) return 1;

  master.places.resize(static_cast<size_t>(workers));
  for (auto& place : master.places) {
    place.of = &master;
    uv_timer_init(loop, &place.again);
    place.again.data = &place;
    master.make(place);
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}
