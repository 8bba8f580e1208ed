#include "web_server.hpp"

#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "web_limits.hpp"

namespace {

// What the library says while it starts is its only way to tell why it cannot; later it would repeat what
// clients do wrong.
std::string said;
void note(int, const char* line) {
  if (said.size() < 1000) said += line;
}

bool is_ipv6(const std::string& address) { return address.find(':') != std::string::npos; }
bool is_every_address(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

const lws_token_limits& path_limits() {
  static lws_token_limits limits{};
  for (int token : {WSI_TOKEN_GET_URI, WSI_TOKEN_HEAD_URI, WSI_TOKEN_POST_URI, WSI_TOKEN_DELETE_URI,
                    WSI_TOKEN_PUT_URI, WSI_TOKEN_PATCH_URI, WSI_TOKEN_OPTIONS_URI}) {
    limits.token_limit[token] = longest_path;
  }
  return limits;
}

// A client that has not shown for so long that it is there is asked, and then given up.
constexpr lws_retry_bo_t patience{.secs_since_valid_ping = 30, .secs_since_valid_hangup = 60};

}  // namespace

web_server::web_server(uv_loop_t& loop, application& application, const settings& settings)
    : loop_(loop), application_(application), settings_(settings) {}

// Of a context on somebody else's loop the second call frees the memory, when the loop has closed the
// handles.
web_server::~web_server() {
  if (context_ != nullptr) lws_context_destroy(context_);
}

std::string web_server::start() {
  void* loops[] = {&loop_};
  lws_context_creation_info info{};
  info.user = this;
  info.foreign_loops = loops;
  info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  constexpr int of_the_library = 16;  // its listening socket, its pipe, and some to spare
  info.fd_limit_per_thread = static_cast<unsigned>(settings_.max_clients + of_the_library);
  info.max_http_header_data2 = longest_headers;
  info.token_limits = &path_limits();
  info.timeout_secs = header_seconds;

  lws_set_log_level(LLL_ERR | LLL_WARN, note);
  context_ = lws_create_context(&info);
  if (context_ != nullptr) listen();
  lws_set_log_level(0, nullptr);
  if (context_ == nullptr) return "cannot start libwebsockets: " + said;
  if (host_ != nullptr && port() > 0) return {};  // it would wait for an address that is not there yet
  return "cannot listen on " + settings_.listen + " port " + std::to_string(settings_.port) + ": " + said;
}

// Apart from the context: one that fails to listen frees itself while the loop has its handles.
void web_server::listen() {
  static const lws_protocols protocols[] = {{"events", on_lws, 0, 4096, 0, nullptr, 0}, {}};
  lws_context_creation_info info{};
  info.port = settings_.port;
  info.iface = is_every_address(settings_.listen) ? nullptr : settings_.listen.c_str();
  info.protocols = protocols;
  info.options =
      LWS_SERVER_OPTION_FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
  if (!is_ipv6(settings_.listen)) info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
  info.keepalive_timeout = idle_seconds;
  info.retry_and_idle_policy = &patience;
  host_ = lws_create_vhost(context_, &info);
}

int web_server::port() const { return lws_get_vhost_listen_port(host_); }

void web_server::tell_all(std::string event) {
  auto text = std::make_shared<const std::string>(std::move(event));
  for (lws* wsi : listeners_) {
    if (!connections_.at(wsi).events.push(text)) ++counted_.dropped_events;
    lws_callback_on_writable(wsi);
  }
}

bool web_server::is_idle() const {
  for (const auto& [wsi, connection] : connections_) {
    if (connection.is_answering() || !connection.events.is_empty()) return false;
  }
  return true;
}

void web_server::close() {
  if (context_ != nullptr) lws_context_destroy(context_);
}

int web_server::on_lws(lws* wsi, lws_callback_reasons reason, void*, void* in, std::size_t length) {
  auto* self = static_cast<web_server*>(lws_context_user(lws_get_context(wsi)));
  return self->heard(wsi, reason, in, length);
}

// The answer of most: not 0 closes the connection.
int web_server::heard(lws* wsi, lws_callback_reasons reason, void* in, std::size_t length) {
  switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
      return on_accept(static_cast<int>(reinterpret_cast<std::intptr_t>(in)));
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
      connections_.try_emplace(wsi, transit_);
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      listeners_.erase(wsi);
      connections_.erase(wsi);
      return 0;
    case LWS_CALLBACK_RAW_RX:
      return refuse_method(wsi);
    default:
      break;
  }
  auto found = connections_.find(wsi);
  return found != connections_.end() ? heard_of(wsi, found->second, reason, in, length) : 0;
}

int web_server::heard_of(lws* wsi, connection& client, lws_callback_reasons reason, void* in,
                         std::size_t length) {
  switch (reason) {
    case LWS_CALLBACK_HTTP:
      return on_request(wsi, client);
    case LWS_CALLBACK_HTTP_BODY:
      client.request.body.append(static_cast<const char*>(in), length);
      return 0;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
      return on_whole_body(wsi, client);
    case LWS_CALLBACK_HTTP_WRITEABLE:
      return client.is_answering() ? finish(wsi, client, client.go_on(wsi)) : 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
      return on_upgrade(wsi, client, static_cast<const char*>(in));
    // There is no cancelling: lws 4.1 calls back at once for that. So it may be late for an exchange that is
    // done.
    case LWS_CALLBACK_TIMER:
      return client.awaits_body || client.is_answering() ? -1 : 0;
    case LWS_CALLBACK_ESTABLISHED:
      listeners_.insert(wsi);
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return on_event_writable(wsi, client);
    default:
      return 0;
  }
}

// A client too many is told so, as far as that goes without waiting for it.
int web_server::on_accept(int descriptor) {
  if (connections_.size() < static_cast<std::size_t>(settings_.max_clients)) {
    // The kernel would keep up to 4 MiB for each client that does not read.
    (void)::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &kernel_keeps, sizeof kernel_keeps);
    return 0;
  }
  constexpr std::string_view full =
      "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 17\r\nconnection: close\r\n\r\n"
      "too many clients\n";
  (void)::send(descriptor, full.data(), full.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ++counted_.refused_clients;
  return 1;
}

// A method that the library does not know makes it take the connection for no HTTP at all.
int web_server::refuse_method(lws* wsi) {
  constexpr std::string_view refused =
      "HTTP/1.1 501 Not Implemented\r\ncontent-length: 15\r\nconnection: close\r\n\r\nno such method\n";
  unsigned char bytes[LWS_PRE + refused.size()];
  std::memcpy(bytes + LWS_PRE, refused.data(), refused.size());
  ++counted_.answers[501];
  (void)lws_write(wsi, bytes + LWS_PRE, refused.size(), LWS_WRITE_RAW);
  return -1;
}

int web_server::on_request(lws* wsi, connection& client) {
  client.request = request_of(wsi);
  const http_request& request = client.request;
  // Of some methods the library waits for a body even if no length says that there is one.
  bool has_body = request.is_chunked || request.content_length.value_or("0") != "0" ||
                  request.how == method::post || request.how == method::other;
  bool closes = has_body || request.is_too_long;
  if (auto refused = application_.refuse(request)) return answer(wsi, client, *std::move(refused), closes);
  if (!has_body) return answer(wsi, client, application_.answer(request), false);
  // The length is a number that may be: it was not refused.
  if (!client.reserve(std::stoull(*request.content_length))) {
    return answer(wsi, client, refusal(503, "too much is on its way"), true);
  }
  client.awaits_body = true;
  lws_set_timer_usecs(wsi, exchange_seconds * LWS_USEC_PER_SEC);
  return 0;
}

int web_server::on_whole_body(lws* wsi, connection& client) {
  if (!std::exchange(client.awaits_body, false)) return 0;
  return answer(wsi, client, application_.answer(client.request), false);
}

int web_server::on_upgrade(lws* wsi, connection& client, const char* to) {
  client.request = request_of(wsi);
  auto refused = application_.refuse_socket(client.request);
  if (::strcasecmp(to, "websocket") != 0) refused = refusal(400, "the only upgrade is to websocket");
  if (!refused) return 0;
  (void)answer(wsi, client, *std::move(refused), true);
  return -1;
}

int web_server::answer(lws* wsi, connection& client, http_answer answer, bool closes) {
  client.request.body = {};
  if (!client.reserve(answer.body.size())) {
    answer = refusal(503, "too much is on its way");
    closes = true;
  }
  ++counted_.answers[answer.status];
  return finish(wsi, client, client.begin(wsi, answer, closes));
}

int web_server::finish(lws* wsi, connection& client, int written) {
  if (written < 0) return -1;
  if (written == 0) {
    lws_set_timer_usecs(wsi, exchange_seconds * LWS_USEC_PER_SEC);
    return 0;
  }
  client.reserve(0);
  if (client.closes()) return -1;
  return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

int web_server::on_event_writable(lws* wsi, connection& client) {
  if (client.events.is_empty()) return 0;
  event_queue::text event = client.events.pop();
  std::string framed(LWS_PRE, '\0');
  framed += *event;
  auto* text = reinterpret_cast<unsigned char*>(framed.data()) + LWS_PRE;
  if (lws_write(wsi, text, event->size(), LWS_WRITE_TEXT) < 0) return -1;
  if (!client.events.is_empty()) lws_callback_on_writable(wsi);
  return 0;
}
