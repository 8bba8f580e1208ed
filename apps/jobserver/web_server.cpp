#include "web_server.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <utility>
#include <vector>

#include "client_socket.hpp"

namespace {

constexpr std::size_t longest_target = 4096;
constexpr std::size_t longest_head = 8 * 1024;  // all fields together
constexpr std::size_t connection_memory = 32 * 1024;
constexpr std::size_t most_bodies = std::size_t{128} << 20;  // of all requests that are on their way
constexpr std::size_t piece = 32 * 1024;                     // of a streamed answer

constexpr unsigned idle_seconds = 60;      // between two requests, or while a client takes nothing
constexpr std::uint64_t head_ms = 10'000;  // until a request's fields are there
constexpr std::uint64_t body_ms = 30'000;  // until its body is
constexpr int patience = 100;              // turns in which nothing comes of what there is to do

method method_of(std::string_view name) {
  if (name == "GET") return method::get;
  if (name == "HEAD") return method::head;
  if (name == "POST") return method::post;
  if (name == "DELETE") return method::del;
  return method::other;
}

// Those that HTTP has (RFC 9110, 9; RFC 5789), and we have not.
bool is_known(std::string_view method) {
  constexpr std::string_view known[] = {"PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT"};
  return std::find(std::begin(known), std::end(known), method) != std::end(known);
}

http_answer too_long(std::size_t most) {
  return problem(413, "the body is longer than " + std::to_string(most) + " bytes");
}

int descriptor_of(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

// Since 1.0 it has another parser, which refuses a NUL and puts a folded field together.
constexpr bool is_old_library = MHD_VERSION < 0x01000000;

// Of the request line and the fields, with the empty line behind them. 0: that is not there yet.
std::size_t head_size_of(MHD_Connection* connection) {
  const auto* size = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  return size != nullptr ? size->header_size : 0;
}

// How large a head is that has just these fields. The library (0.9.75) says nothing of what it drops: a field
// that is folded, what follows a NUL, a CR that is missing. Both texts lie in its buffer as they were read,
// so the blanks between them can be counted.
std::size_t take_fields(MHD_Connection* connection, http_request& request) {
  constexpr std::string_view around_the_target = "  HTTP/1.1\r\n";
  struct taken {
    http_request& request;
    std::size_t size;
  } all{request, request.method_name.size() + request.target.size() + around_the_target.size() + 2};
  auto take = [](void* into, MHD_ValueKind, const char* name, std::size_t name_size, const char* value,
                 std::size_t value_size) {
    taken& head = *static_cast<taken*>(into);
    std::string_view text = value != nullptr ? std::string_view(value, value_size) : std::string_view();
    auto before = value != nullptr ? static_cast<std::size_t>(value - name) : name_size + 1;
    head.size += before + text.size() + 2;
    text = text.substr(0, text.find_last_not_of(" \t") + 1);  // RFC 9110, 5.5
    head.request.fields.emplace_back(std::string(name, name_size), text);
    return MHD_YES;
  };
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take, &all);
  return all.size;
}

}  // namespace

struct web_server::client {
  int descriptor;
  std::string name;
  bool is_by_network;
  enum class state { sends_head, idle, sends_body, is_answered } now = state::sends_head;
  std::uint64_t since_ms = 0;
  std::optional<std::uint64_t> received{};  // bytes, when it had been idle for a beat
  int turns_unread = 0;                     // in which what it sent was left in the kernel

  void begin_head(std::uint64_t now_ms) {
    if (now != state::idle) return;
    now = state::sends_head;
    since_ms = now_ms;
  }

  // The library says that a further request begins when its first line is there. Before that, bytes that come
  // say so.
  void look_for_head(std::uint64_t now_ms) {
    std::uint64_t so_far = client_socket::received(descriptor);
    if (so_far != received.value_or(so_far)) begin_head(now_ms);
    received = so_far;
  }
};

// One request and its answer. libmicrohttpd has its address from the request line on until it is over.
struct web_server::exchange {
  web_server& server;
  MHD_Connection* connection;
  http_request request{};
  bool has_head = false;
  bool is_asked = false;
  bool is_suspended = false;
  std::size_t body_bytes = 0;           // counted in bodies_
  std::optional<http_answer> answer{};  // that waits to be sent
};

struct web_server::carried_stream {
  web_server& server;
  MHD_Connection* connection;
  int descriptor;
  std::unique_ptr<body_stream> stream;
  bool is_gone = false;
};

web_server::web_server(uv_loop_t& loop, routes& routes, const settings& settings)
    : loop_(loop), routes_(routes), settings_(settings) {
  uv_prepare_init(&loop_, &prepare_);
  uv_timer_init(&loop_, &timer_);
  prepare_.data = timer_.data = this;
}

web_server::~web_server() = default;

int web_server::start() {
  auto on_request = [](void*, MHD_Connection*, const char*, const char* method, const char* version,
                       const char* bytes, std::size_t* size, void** context) {
    auto& exchange = *static_cast<web_server::exchange*>(*context);
    exchange.request.method_name = method;
    exchange.request.is_http_1_0 = std::strcmp(version, "HTTP/1.0") == 0;
    return exchange.server.on_request(exchange, bytes, size);
  };
  auto on_target = [](void* self, const char* target, MHD_Connection* connection) -> void* {
    auto& server = *static_cast<web_server*>(self);
    auto made = std::make_shared<exchange>(exchange{server, connection});
    made->request.target = target;
    server.clients_.at(connection)->begin_head(uv_now(&server.loop_));
    return (server.exchanges_[made.get()] = made).get();
  };
  auto on_completed = [](void* self, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
    if (*context == nullptr) return;
    static_cast<web_server*>(self)->on_completed(*static_cast<exchange*>(*context));
    *context = nullptr;
  };
  auto on_connection = [](void* self, MHD_Connection* connection, void** context,
                          MHD_ConnectionNotificationCode code) {
    static_cast<web_server*>(self)->on_connection(connection, context, code == MHD_CONNECTION_NOTIFY_STARTED);
  };
  auto on_log = [](void* self, const char*, va_list) { static_cast<web_server*>(self)->answer_first(); };
  // Targets are decoded by target.hpp.
  auto as_it_is = [](void*, MHD_Connection*, char* text) { return std::strlen(text); };
  using request_handler = MHD_Result (*)(void*, MHD_Connection*, const char*, const char*, const char*,
                                         const char*, std::size_t*, void**);
  using log_handler = void (*)(void*, const char*, va_list);
  using target_handler = void* (*)(void*, const char*, MHD_Connection*);
  daemon_ = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, nullptr,
      nullptr, static_cast<request_handler>(on_request), nullptr,                                    //
      MHD_OPTION_EXTERNAL_LOGGER, static_cast<log_handler>(on_log), this,                            //
      MHD_OPTION_URI_LOG_CALLBACK, static_cast<target_handler>(on_target), this,                     //
      MHD_OPTION_NOTIFY_COMPLETED, static_cast<MHD_RequestCompletedCallback>(on_completed), this,    //
      MHD_OPTION_NOTIFY_CONNECTION, static_cast<MHD_NotifyConnectionCallback>(on_connection), this,  //
      MHD_OPTION_UNESCAPE_CALLBACK, static_cast<std::size_t (*)(void*, MHD_Connection*, char*)>(as_it_is),
      nullptr,                                                                    //
      MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(settings_.max_clients),  //
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory,                      //
      MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,                                //
      MHD_OPTION_END);
  if (daemon_ == nullptr) return UV_ENOMEM;
  int epoll = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  if (int error = uv_poll_init(&loop_, &poll_, epoll); error != 0) return error;
  poll_.data = this;
  uv_prepare_start(&prepare_, [](uv_prepare_t* self) { static_cast<web_server*>(self->data)->set_timer(); });
  return uv_poll_start(&poll_, UV_READABLE,
                       [](uv_poll_t* self, int, int) { static_cast<web_server*>(self->data)->run(); });
}

void web_server::run() {
  has_resumed_ = false;
  auto before = steps_;
  MHD_run(daemon_);
  turns_without_step_ = steps_ == before ? turns_without_step_ + 1 : 0;
  if (turns_without_step_ > patience) end_stuck();
}

// The library (0.9.75) turns without end over a line of a chunked body that is longer than its memory: it has
// no room to read on, and does not give up. What such a client sends stays in the kernel.
void web_server::end_stuck() {
  for (const auto& [connection, client] : clients_) {
    int unread = 0;
    bool is_read = client->now != client::state::sends_body ||
                   ::ioctl(client->descriptor, FIONREAD, &unread) != 0 || unread == 0;
    client->turns_unread = is_read ? 0 : client->turns_unread + 1;
    if (client->turns_unread > patience) ::shutdown(client->descriptor, SHUT_RDWR);
  }
}

// MHD_get_timeout does not count those (0.9.75).
void web_server::resume(MHD_Connection* connection) {
  MHD_resume_connection(connection);
  has_resumed_ = true;
}

void web_server::set_timer() {
  MHD_UNSIGNED_LONG_LONG ms = 0;
  if (!has_resumed_ && MHD_get_timeout(daemon_, &ms) == MHD_NO) {
    uv_timer_stop(&timer_);
    return;
  }
  uv_timer_start(
      &timer_, [](uv_timer_t* self) { static_cast<web_server*>(self->data)->run(); }, ms, 0);
}

// ---- Connections ----

void web_server::add(int descriptor, const sockaddr_storage& address, socklen_t length) {
  if (clients_.size() >= static_cast<std::size_t>(settings_.max_clients)) {
    auto full = problem(503, "too many clients");
    full.fields = {{"Retry-After", "1"}};
    client_socket::say(descriptor, last_words(full));
    ::close(descriptor);
    ++counted_.refused_clients;
    return;
  }
  client_socket::prepare(descriptor);
  (void)MHD_add_connection(daemon_, descriptor, reinterpret_cast<const sockaddr*>(&address), length);
}

void web_server::on_connection(MHD_Connection* connection, void**, bool is_new) {
  ++steps_;
  if (!is_new) {
    clients_.erase(connection);
    return;
  }
  const sockaddr* address =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
  int descriptor = descriptor_of(connection);
  auto made = std::make_unique<client>(
      client{descriptor, client_socket::name_of(descriptor, address), address->sa_family != AF_UNIX});
  made->since_ms = uv_now(&loop_);
  clients_[connection] = std::move(made);
}

void web_server::on_beat() {
  for (const auto& [connection, client] : clients_) {
    using state = client::state;
    if (client->now == state::idle) client->look_for_head(uv_now(&loop_));
    std::uint64_t time = uv_now(&loop_) - client->since_ms;
    bool is_slow = (client->now == state::sends_head && time > head_ms) ||
                   (client->now == state::idle && time > idle_seconds * 1000) ||
                   (client->now == state::sends_body && time > body_ms);
    // The end of one whose request was suspended meanwhile is not always seen by the library (0.9.75).
    bool is_over = client->now == state::idle && client_socket::is_at_end(client->descriptor);
    if (is_slow || is_over)
      ::shutdown(client->descriptor, SHUT_RDWR);  // which ends it in the loop's next turn
  }
  // Nobody reads from a connection that is suspended, so that its end has to be asked for. A client that only
  // says no more (nc -N, some proxies) still waits for its answer: that is no POLLHUP.
  std::vector<pollfd> ends;
  std::vector<carried_stream*> streams(waiting_.begin(), waiting_.end());
  for (carried_stream* each : streams) ends.push_back({.fd = each->descriptor, .events = 0, .revents = 0});
  if (ends.empty() || ::poll(ends.data(), ends.size(), 0) <= 0) return;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i].revents == 0) continue;
    streams[i]->is_gone = true;
    streams[i]->stream->wake();
  }
}

// ---- Requests ----

MHD_Result web_server::on_request(exchange& exchange, const char* bytes, std::size_t* size) {
  ++steps_;
  if (!exchange.has_head) return on_head(exchange);
  if (*size == 0) return on_whole(exchange);
  std::size_t length = std::exchange(*size, 0);
  if (exchange.answer) return MHD_YES;  // it is refused: the rest is dropped
  bool is_too_long = exchange.request.body.size() + length > settings_.max_body;
  if (is_too_long || bodies_ + length > most_bodies) {
    exchange.answer = is_too_long ? too_long(settings_.max_body) : problem(503, "too much is on its way");
    exchange.request.body = {};
    return MHD_YES;
  }
  exchange.request.body.append(bytes, length);
  exchange.body_bytes += length;
  bodies_ += length;
  return MHD_YES;
}

std::size_t web_server::read_head(exchange& exchange) {
  const client& client = *clients_.at(exchange.connection);
  exchange.has_head = true;
  exchange.request.client = client.name;
  exchange.request.is_by_network = client.is_by_network;
  exchange.request.how = method_of(exchange.request.method_name);
  return take_fields(exchange.connection, exchange.request);
}

std::optional<http_answer> web_server::wrong_head(const http_request& request) const {
  if (auto wrong = wrong_framing(request)) return wrong;
  std::size_t head = 0;
  for (const auto& [name, value] : request.fields) head += name.size() + value.size();
  if (head > longest_head) return problem(431, "the fields are longer than 8 KiB together");
  if (request.target.size() > longest_target) return problem(414, "the target is too long");
  std::string length = request.field("Content-Length").value_or("0");
  if (length.size() > 18 || std::stoull(length) > settings_.max_body) return too_long(settings_.max_body);
  return {};
}

MHD_Result web_server::on_head(exchange& exchange) {
  http_request& request = exchange.request;
  std::size_t understood = read_head(exchange);
  bool has_body = request.count("Transfer-Encoding") > 0 ||
                  request.field("Content-Length").value_or("0").find_first_not_of('0') != std::string::npos;
  client& client = *clients_.at(exchange.connection);
  client.now = has_body ? client::state::sends_body : client::state::is_answered;
  client.since_ms = uv_now(&loop_);

  std::optional<http_answer> refused = wrong_head(request);
  if (!refused && is_old_library && understood != head_size_of(exchange.connection)) {
    refused = problem(400, "a line of the head is folded, holds a NUL or ends without CR");
  }
  if (refused) {
    refused->fields.emplace_back("Connection", "close");  // where the next request begins is not known
    return send(exchange, *std::move(refused));
  }
  if (request.how == method::other && !is_known(request.method_name)) {
    refused = problem(501, "there is no method " + request.method_name);
  }
  if (!refused) refused = routes_.refuse(request);
  if (!refused) return MHD_YES;
  // Answered now, the library would close the connection. That is needed only where the client waits to be
  // told whether it may send the body.
  if (!has_body || request.count("Expect") == 0) {
    exchange.answer = std::move(refused);
    return MHD_YES;
  }
  refused->fields.emplace_back("Connection", "close");
  return send(exchange, *std::move(refused));
}

// The library (0.9.75) refuses some heads by itself, such as a Content-Length that is no number, and then
// writes the fields of its answer twice. All that it calls meanwhile is its log. The exchange whose head is
// there and was not handed to us is the one: it gets our answer, and the library's can no longer be sent.
void web_server::answer_first() {
  auto is_refused = [](const auto& each) {
    return !each.second->has_head && head_size_of(each.second->connection) > 0;
  };
  auto found = std::find_if(exchanges_.begin(), exchanges_.end(), is_refused);
  if (!is_old_library || found == exchanges_.end()) return;
  exchange& exchange = *found->second;
  exchange.request.method_name = "-";  // the library has not said it yet
  read_head(exchange);
  auto answer = wrong_head(exchange.request).value_or(problem(431, "the cookies take too much room"));
  ++counted_.answers[answer.status];
  on_refusal(exchange.request, answer);
  int descriptor = descriptor_of(exchange.connection);
  client_socket::say(descriptor, last_words(answer));
  ::shutdown(descriptor, SHUT_WR);
}

MHD_Result web_server::on_whole(exchange& exchange) {
  bool is_asked_before = exchange.is_asked;
  if (!exchange.answer && !is_asked_before) ask(exchange);
  if (exchange.answer) return send(exchange, *std::exchange(exchange.answer, {}));
  // The library (0.9.75) would read on as soon as the connection is resumed, and a client that says no more
  // would get no answer. It does not when it has called twice.
  if (!is_asked_before) return MHD_YES;
  exchange.is_suspended = true;
  MHD_suspend_connection(exchange.connection);
  return MHD_YES;
}

void web_server::ask(exchange& exchange) {
  clients_.at(exchange.connection)->now = client::state::is_answered;
  exchange.is_asked = true;
  ++answering_;
  std::weak_ptr<web_server::exchange> there = exchanges_.at(&exchange);
  routes_.answer(exchange.request, [there](http_answer answer) {
    auto exchange = there.lock();
    if (!exchange) return;
    exchange->answer = std::move(answer);
    if (std::exchange(exchange->is_suspended, false)) exchange->server.resume(exchange->connection);
  });
}

MHD_Result web_server::send(exchange& exchange, http_answer answer) {
  ++counted_.answers[answer.status];
  if (!answer.detail.empty() && answer.status >= 400) on_refusal(exchange.request, answer);
  MHD_Response* response = nullptr;
  if (answer.stream) {
    std::uint64_t length = answer.stream->length.value_or(MHD_SIZE_UNKNOWN);
    auto* carried = new carried_stream{*this, exchange.connection, descriptor_of(exchange.connection),
                                       std::move(answer.stream)};
    carried->stream->wake = [this, carried] {
      if (waiting_.erase(carried) > 0) resume(carried->connection);
    };
    auto read = [](void* self, std::uint64_t, char* room, std::size_t size) {
      auto& carried = *static_cast<carried_stream*>(self);
      return carried.server.read(carried, room, size);
    };
    auto free = [](void* self) {
      auto* carried = static_cast<carried_stream*>(self);
      carried->server.waiting_.erase(carried);
      delete carried;
    };
    response = MHD_create_response_from_callback(length, piece, read, carried, free);
    if (response == nullptr) delete carried;
    // The library (0.9.75) would send the last chunk of a body after the fields of one that comes in chunks.
    bool comes_in_chunks = length == MHD_SIZE_UNKNOWN;
    if (response != nullptr && comes_in_chunks && exchange.request.how == method::head) {
      MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
  } else {
    response = MHD_create_response_from_buffer(answer.body.size(), answer.body.data(), MHD_RESPMEM_MUST_COPY);
  }
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", answer.type.c_str());
  for (const auto& [name, value] : answer.fields) MHD_add_response_header(response, name, value.c_str());
  MHD_Result result = MHD_queue_response(exchange.connection, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);
  return result;
}

ssize_t web_server::read(carried_stream& carried, char* room, std::size_t size) {
  ++steps_;
  ssize_t length = carried.is_gone ? body_stream::broken : carried.stream->read(room, size);
  if (length == body_stream::end) return MHD_CONTENT_READER_END_OF_STREAM;
  if (length == body_stream::broken) {
    // After MHD_CONTENT_READER_END_WITH_ERROR the library (0.9.75) keeps the connection until all older ones
    // are idle for too long. A byte that cannot be sent ends it at once.
    ::shutdown(carried.descriptor, SHUT_RDWR);
    room[0] = '\0';
    return 1;
  }
  if (length == 0) {
    waiting_.insert(&carried);
    MHD_suspend_connection(carried.connection);
  }
  return length;
}

void web_server::on_completed(exchange& exchange) {
  ++steps_;
  bodies_ -= exchange.body_bytes;
  if (exchange.is_asked) --answering_;
  if (auto found = clients_.find(exchange.connection); found != clients_.end()) {
    found->second->now = client::state::idle;
    found->second->since_ms = uv_now(&loop_);
    found->second->received.reset();
  }
  exchanges_.erase(&exchange);
}

void web_server::close() {
  // The library aborts if a connection is still suspended when it is to stop.
  for (const auto& [key, exchange] : exchanges_) {
    if (std::exchange(exchange->is_suspended, false)) resume(exchange->connection);
  }
  while (!waiting_.empty()) (*waiting_.begin())->stream->wake();
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  // Before its descriptor is closed, or the loop would poll what gets that number next.
  if (poll_.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr);
  if (daemon_ != nullptr) MHD_stop_daemon(std::exchange(daemon_, nullptr));
}
