// HTTP by libmicrohttpd, on the loop that the reaper is on, too. Nothing else here knows that library.
//
// It has an epoll set of its own, which the loop polls: readable, it has work (MHD_USE_EPOLL). When it wants
// to be called without that, it says (MHD_get_timeout, asked before each poll of the loop). A connection
// whose answer is not there yet is suspended, which takes it off the set.
#pragma once

#include <microhttpd.h>
#include <sys/socket.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "http.hpp"
#include "routes.hpp"
#include "settings.hpp"

class web_server {
 public:
  struct counters {
    std::map<int, std::uint64_t> answers;  // by status
    std::uint64_t refused_clients = 0;
  };

  web_server(uv_loop_t&, routes&, const settings&);
  ~web_server();
  web_server(const web_server&) = delete;
  web_server& operator=(const web_server&) = delete;

  std::function<void(const http_request&, const http_answer&)> on_refusal;

  [[nodiscard]] int start();  // 0, or UV_E*

  // Takes the descriptor.
  void add(int descriptor, const sockaddr_storage&, socklen_t);

  void on_beat();  // each second: clients that are too slow, or gone, are let go of
  [[nodiscard]] bool is_idle() const { return answering_ == 0; }
  void close();

  [[nodiscard]] std::size_t clients() const { return clients_.size(); }
  [[nodiscard]] const counters& counted() const { return counted_; }

 private:
  struct client;
  struct exchange;
  struct carried_stream;

  void run();
  void end_stuck();
  void resume(MHD_Connection*);
  void set_timer();
  void on_connection(MHD_Connection*, void** context, bool is_new);
  MHD_Result on_request(exchange&, const char* bytes, std::size_t* size);
  MHD_Result on_head(exchange&);
  std::size_t read_head(exchange&);  // take_fields
  [[nodiscard]] std::optional<http_answer> wrong_head(const http_request&) const;
  void answer_first();
  MHD_Result on_whole(exchange&);
  void ask(exchange&);
  MHD_Result send(exchange&, http_answer);
  void on_completed(exchange&);
  ssize_t read(carried_stream&, char* room, std::size_t size);

  uv_loop_t& loop_;
  routes& routes_;
  const settings& settings_;
  MHD_Daemon* daemon_ = nullptr;
  uv_poll_t poll_{};
  uv_prepare_t prepare_{};
  uv_timer_t timer_{};
  bool has_resumed_ = false;
  std::uint64_t steps_ = 0;  // what the library has called
  int turns_without_step_ = 0;
  std::map<MHD_Connection*, std::unique_ptr<client>> clients_;
  std::map<const exchange*, std::shared_ptr<exchange>> exchanges_;
  std::set<carried_stream*> waiting_;  // suspended, until their stream has more
  std::size_t answering_ = 0;          // exchanges whose request is there
  std::size_t bodies_ = 0;             // bytes of all requests' bodies
  counters counted_;
};
