// HTTP and WebSockets by libwebsockets, on the loop that the reaper is on, too.
//
// Each of these is bounded: connections; bytes of requests and answers that are on their way, all together;
// events that a client is late with; the time that a request may take to come and its answer to be read.
#pragma once

#include <libwebsockets.h>
#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "application.hpp"
#include "connection.hpp"

class web_server {
 public:
  struct counters {
    std::map<int, std::uint64_t> answers;  // by status
    std::uint64_t refused_clients = 0;     // more than may be connected
    std::uint64_t dropped_events = 0;
  };

  web_server(uv_loop_t&, application&, const settings&);
  ~web_server();  // after the loop has run dry
  web_server(const web_server&) = delete;
  web_server& operator=(const web_server&) = delete;

  [[nodiscard]] std::string start();  // empty, or why not
  [[nodiscard]] int port() const;     // of a started one
  void tell_all(std::string event);
  [[nodiscard]] bool is_idle() const;  // all that was to be said has been said
  void close();                        // everything; the loop then lets go of it in its next turns

  [[nodiscard]] const counters& counted() const { return counted_; }
  [[nodiscard]] std::size_t clients() const { return connections_.size(); }
  [[nodiscard]] std::size_t listeners() const { return listeners_.size(); }  // WebSockets

 private:
  void listen();
  static int on_lws(lws*, lws_callback_reasons, void* user, void* in, std::size_t length);
  int heard(lws*, lws_callback_reasons, void* in, std::size_t length);
  int heard_of(lws*, connection&, lws_callback_reasons, void* in, std::size_t length);

  int on_accept(int descriptor);
  int refuse_method(lws*);
  int on_request(lws*, connection&);
  int on_whole_body(lws*, connection&);
  int on_upgrade(lws*, connection&, const char* to);
  int on_event_writable(lws*, connection&);
  int answer(lws*, connection&, http_answer, bool closes);
  int finish(lws*, connection&, int written);

  uv_loop_t& loop_;
  application& application_;
  const settings& settings_;
  lws_context* context_ = nullptr;
  lws_vhost* host_ = nullptr;
  transit transit_;
  std::unordered_map<lws*, connection> connections_;
  std::unordered_set<lws*> listeners_;
  counters counted_;
};
