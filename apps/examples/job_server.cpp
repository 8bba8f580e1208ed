// A server with a job for each request. A client sends one line, the name of a job out of a small table (no
// shell is near); it gets what the job writes, and at last how it ended. A client that goes away ends its
// job. SIGTERM drains: no new clients, the jobs that run are finished; a second SIGTERM ends them.
#include <arpa/inet.h>
#include <signal.h>

#include <array>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <uvreap/reaper.hpp>
#include <vector>

namespace {

const std::map<std::string, std::vector<std::string>> allowed = {
    {"date", {"date"}},      {"count", {"seq", "100000"}}, {"fail", {"false"}},
    {"nap", {"sleep", "2"}}, {"sleep", {"sleep", "600"}},
};

class client;

struct server {
  uvreap::reaper reaper;
  uv_tcp_t socket{};
  uv_signal_t on_term{};
  std::set<client*> clients{};
  bool draining = false;
};

template <class Handle>
uv_handle_t* handle_of(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}
template <class Handle>
uv_stream_t* stream_of(Handle* handle) {
  return reinterpret_cast<uv_stream_t*>(handle);
}

// One connection and its job. It deletes itself when its two handles are closed, which is not before the job
// has been told: so the job's callback finds it.
class client {
 public:
  explicit client(server& of) : server_(of) {
    server_.clients.insert(this);
    socket_.data = output_.data = this;
    uv_tcp_init(of.socket.loop, &socket_);
    uv_pipe_init(of.socket.loop, &output_, 0);
  }

  void greet() {
    auto on_read = [](uv_stream_t* socket, ssize_t length, const uv_buf_t* read) {
      static_cast<client*>(socket->data)->heard(length, read->base);
    };
    int error = uv_accept(stream_of(&server_.socket), stream_of(&socket_));
    if (error != 0 || uv_read_start(stream_of(&socket_), give_room, on_read) != 0) go();
  }

  // It has a job, or is being told something.
  [[nodiscard]] bool is_busy() const { return pid_ != 0 || answered_; }

  // The client is gone, or is to go. Its job's output is read on, and dropped: a full pipe must not keep the
  // job from ending.
  void go() {
    gone_ = true;
    if (pid_ == 0 || ended_) return finish();
    (void)server_.reaper.terminate(pid_, std::chrono::seconds(1));  // UV_EALREADY, or it has just ended
  }

 private:
  static void give_room(uv_handle_t* handle, size_t, uv_buf_t* room) {
    auto* self = static_cast<client*>(handle->data);
    bool is_request = handle == handle_of(&self->socket_);
    *room = is_request ? uv_buf_init(self->request_.data(), sizeof self->request_)
                       : uv_buf_init(self->part_.data(), sizeof self->part_);
  }

  void heard(ssize_t length, const char* text) {
    if (length < 0) return go();
    if (pid_ != 0 || answered_) return;  // one line it was
    line_.append(text, static_cast<size_t>(length));
    auto end = line_.find('\n');
    if (end != std::string::npos) return begin(line_.substr(0, end));
    if (line_.size() > 100) go();
  }

  void begin(const std::string& name) {
    auto job = allowed.find(name);
    if (job == allowed.end()) return answer("no such job");
    int from_job = -1;
    uvreap::command command{.argv = job->second};
    command.input = uvreap::stdio::null();
    command.output = uvreap::stdio::pipe(&from_job);
    command.group = uvreap::process_group::created;  // go() ends what the job started, too
    began_ns_ = uv_hrtime();
    auto note = [this](const uvreap::child_exit& exit) { ended(exit); };
    if (int error = server_.reaper.spawn(&pid_, command, note); error != 0) return answer(uv_strerror(error));
    std::cout << "job " << pid_ << ": " << name << std::endl;
    if (uv_pipe_open(&output_, from_job) != 0 || listen_to_job() != 0) go();
  }

  int listen_to_job() {
    auto on_read = [](uv_stream_t* output, ssize_t length, const uv_buf_t*) {
      static_cast<client*>(output->data)->wrote(length);
    };
    return uv_read_start(stream_of(&output_), give_room, on_read);
  }

  // The job did. No more is read before the client has got this: a slow client slows its job down.
  void wrote(ssize_t length) {
    if (length < 0) {
      uv_read_stop(stream_of(&output_));
      output_ended_ = true;
      return answer_if_done();
    }
    if (gone_) return;
    uv_read_stop(stream_of(&output_));
    send(std::string(part_.data(), static_cast<size_t>(length)), [](uv_write_t* request, int error) {
      auto* self = static_cast<client*>(request->data);
      if (error != 0) self->go();
      if (!self->finished_) (void)self->listen_to_job();
    });
  }

  void ended(const uvreap::child_exit& exit) {
    ended_ = true;
    auto ms = [](auto time) { return std::to_string(time / 1000) + " ms"; };
    auto cpu = exit.usage.user_time + exit.usage.system_time;
    how_ = exit.status.text() + ", wall " + ms((uv_hrtime() - began_ns_) / 1000) + ", CPU " + ms(cpu.count());
    std::cout << "job " << exit.pid << ' ' << how_ << std::endl;
    if (gone_) return finish();
    answer_if_done();
  }

  void answer_if_done() {
    if (ended_ && output_ended_ && !gone_) answer(how_);
  }

  void answer(const std::string& last) {
    answered_ = true;
    send(last + '\n', [](uv_write_t* request, int) { static_cast<client*>(request->data)->finish(); });
  }

  void send(std::string text, uv_write_cb then) {
    sent_ = std::move(text);
    write_.data = this;
    uv_buf_t buffer = uv_buf_init(sent_.data(), static_cast<unsigned>(sent_.size()));
    if (uv_write(&write_, stream_of(&socket_), &buffer, 1, then) != 0) go();
  }

  void finish() {
    if (finished_) return;
    finished_ = true;
    auto on_close = [](uv_handle_t* handle) {
      auto* self = static_cast<client*>(handle->data);
      if (++self->closed_ == 2) delete self;
    };
    server_.clients.erase(this);
    uv_close(handle_of(&socket_), on_close);
    uv_close(handle_of(&output_), on_close);
  }

  server& server_;
  uv_tcp_t socket_{};
  uv_pipe_t output_{};
  std::array<char, 128> request_{};
  std::array<char, 4096> part_{};
  std::string line_;
  std::string sent_;
  uv_write_t write_{};
  pid_t pid_ = 0;
  std::uint64_t began_ns_ = 0;
  std::string how_;
  bool gone_ = false;
  bool ended_ = false;
  bool output_ended_ = false;
  bool answered_ = false;
  bool finished_ = false;
  int closed_ = 0;
};

void on_connection(uv_stream_t* socket, int error) {
  if (error == 0) (new client(*static_cast<server*>(socket->data)))->greet();
}

void on_term(uv_signal_t* handle, int) {
  auto* all = static_cast<server*>(handle->data);
  std::cout << (all->draining ? "ending" : "draining") << std::endl;
  if (!all->draining) uv_close(handle_of(&all->socket), nullptr);
  for (client* one : std::set<client*>(all->clients)) {
    if (all->draining || !one->is_busy()) one->go();
  }
  all->draining = true;
}

}  // namespace

int main() {
  ::signal(SIGPIPE, SIG_IGN);  // clients go away; the jobs have it by default again
  uv_loop_t* loop = uv_default_loop();
  server all{.reaper = uvreap::reaper(*loop)};
  if (all.reaper.start() != 0) return 1;

  all.on_term.data = all.socket.data = &all;
  uv_signal_init(loop, &all.on_term);
  if (uv_signal_start(&all.on_term, on_term, SIGTERM) != 0) return 1;
  uv_unref(handle_of(&all.on_term));  // the socket and the clients hold the loop

  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", 0, &address);
  auto* at = reinterpret_cast<sockaddr*>(&address);
  int size = sizeof address;
  uv_tcp_init(loop, &all.socket);
  if (uv_tcp_bind(&all.socket, at, 0) != 0) return 1;
  if (uv_listen(stream_of(&all.socket), 128, on_connection) != 0) return 1;
  if (uv_tcp_getsockname(&all.socket, at, &size) != 0) return 1;
  std::cout << "port " << ntohs(address.sin_port) << std::endl;
  return uv_run(loop, UV_RUN_DEFAULT);
}
