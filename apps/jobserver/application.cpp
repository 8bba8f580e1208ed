#include "application.hpp"

#include <algorithm>
#include <charconv>

#include "page.hpp"

namespace {

enum class place { page, script, health, metrics, jobs, job, events, nowhere };

struct target {
  place where = place::nowhere;
  std::uint64_t id = 0;  // of a job
};

target target_of(const std::string& path) {
  static const std::map<std::string, place> places{
      {"/", place::page},           {"/page.js", place::script}, {"/healthz", place::health},
      {"/metrics", place::metrics}, {"/jobs", place::jobs},      {"/events", place::events},
  };
  if (auto found = places.find(path); found != places.end()) return {found->second};
  constexpr std::string_view before_id = "/jobs/";
  if (!path.starts_with(before_id)) return {};
  target job{place::job};
  const char* end = path.data() + path.size();
  const char* begin = path.data() + before_id.size();
  auto [read_to, error] = std::from_chars(begin, end, job.id);
  bool is_number = error == std::errc() && read_to == end && *begin != '0';
  return is_number ? job : target{};
}

const char* methods_of(place where) {
  if (where == place::jobs) return "GET, HEAD, POST";
  if (where == place::job) return "GET, HEAD, DELETE";
  return "GET, HEAD";
}

bool is_method_of(place where, method how) {
  if (how == method::post) return where == place::jobs;
  if (how == method::del) return where == place::job;
  return how != method::other;
}

bool needs_token(place where) {
  return where != place::page && where != place::script && where != place::health;
}

// A name that no DNS answer can make point here, or the address that was listened to.
bool is_own_name(std::string_view host, const std::string& address) {
  bool is_ipv6 = host.starts_with('[');
  host = is_ipv6 ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]" || host == address;
}

bool is_json(std::string type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type == "application/json";
}

std::optional<std::uint64_t> length_of(const std::string& text) {
  std::uint64_t length = 0;
  const char* end = text.data() + text.size();
  auto [read_to, error] = std::from_chars(text.data(), end, length);
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  if (error != std::errc() || read_to != end) return {};
  return length;
}

http_answer page(std::string_view text, const char* type) {
  http_answer answer{200, std::string(text), type};
  answer.headers = {{"content-security-policy:",
                     "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
                     "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"},
                    {"x-content-type-options:", "nosniff"},
                    {"cache-control:", "no-cache"}};
  return answer;
}

}  // namespace

application::application(jobs& jobs, const allow_list& allowed, const token& token, const settings& settings)
    : jobs_(jobs), allowed_(allowed), token_(token), settings_(settings) {}

std::optional<http_answer> application::refuse(const http_request& request) const {
  if (auto stranger = refuse_stranger(request)) return stranger;
  if (request.is_too_long) return refusal(414, "the path is too long");
  auto where = target_of(request.path).where;
  if (needs_token(where) && !bears_token(request)) {
    auto answer = refusal(401, "this needs Authorization: Bearer and the token");
    answer.headers = {{"www-authenticate:", "Bearer"}};
    return answer;
  }
  if (where == place::nowhere) return refusal(404, "there is nothing at " + request.path);
  if (!is_method_of(where, request.how)) {
    auto answer = refusal(405, "that method is not for " + request.path);
    answer.headers = {{"allow:", methods_of(where)}};
    return answer;
  }
  return refuse_body(request);
}

// A page of another origin, which a browser of this machine has open, must not run commands here. One that
// gives its own name this machine's address (DNS rebinding) is of the same origin, but says that name.
std::optional<http_answer> application::refuse_stranger(const http_request& request) const {
  if (request.host.empty()) return refusal(400, "Host is missing");
  if (!token_.is_needed() && !is_own_name(request.host, settings_.listen)) {
    return refusal(403, "Host is " + request.host + ": without a token only localhost is answered");
  }
  if (!request.origin.empty() && request.origin != "http://" + request.host) {
    return refusal(403, "Origin is " + request.origin + ": only this server's own page may ask");
  }
  return {};
}

std::optional<http_answer> application::refuse_body(const http_request& request) const {
  if (request.is_chunked) return refusal(411, "a body needs Content-Length");
  auto length = length_of(request.content_length.value_or("0"));
  if (!length) return refusal(400, "Content-Length is no number");
  if (request.how != method::post) {
    return *length == 0 ? std::optional<http_answer>() : refusal(413, "this takes no body");
  }
  if (!request.content_length) return refusal(411, "POST needs Content-Length");
  if (*length > settings_.max_body) {
    return refusal(413, "the body is longer than " + std::to_string(settings_.max_body) + " bytes");
  }
  // What a form of any page could send as well is not taken.
  if (!is_json(request.content_type)) return refusal(415, "POST needs Content-Type: application/json");
  return {};
}

bool application::bears_token(const http_request& request) const {
  if (!token_.is_needed()) return true;
  constexpr std::string_view scheme = "Bearer ";
  std::string_view given = request.authorization;
  if (given.starts_with(scheme)) return token_.is(given.substr(scheme.size()));
  // A page cannot give a WebSocket that header, but can offer subprotocols.
  std::string_view offered = request.subprotocols;
  constexpr std::string_view bearer = "bearer.";
  auto at = offered.find(bearer);
  if (at == std::string_view::npos) return false;
  offered.remove_prefix(at + bearer.size());
  return token_.is(offered.substr(0, offered.find_first_of(", ")));
}

std::optional<http_answer> application::refuse_socket(const http_request& request) const {
  if (auto refused = refuse(request)) return refused;
  if (target_of(request.path).where != place::events) return refusal(404, "the WebSocket is at /events");
  return {};
}

http_answer application::answer(const http_request& request) {
  auto target = target_of(request.path);
  switch (target.where) {
    case place::page:
      return page(page_html, "text/html; charset=utf-8");
    case place::script:
      return page(page_script, "text/javascript; charset=utf-8");
    case place::health:
      return {is_draining ? 503 : 200, is_draining ? "draining\n" : "ok\n", "text/plain"};
    case place::metrics:
      return {200, metrics(), "text/plain; version=0.0.4"};
    case place::jobs:
      if (request.how == method::post) return start_job(request);
      return {200, text_of(jobs_.list())};
    case place::job: {
      const job* found = jobs_.find(target.id);
      if (found == nullptr) return refusal(404, "there is no job " + std::to_string(target.id));
      if (request.how == method::del) return end_job(*found);
      return {200, text_of(found->full())};
    }
    case place::events: {
      auto answer = refusal(426, "this is a WebSocket");
      answer.headers = {{"upgrade:", "websocket"}};
      return answer;
    }
    case place::nowhere:
      break;
  }
  return refusal(404, "there is nothing at " + request.path);
}

http_answer application::start_job(const http_request& request) {
  job_request asked;
  if (std::string wrong = asked.read(request.body); !wrong.empty()) return refusal(400, wrong);
  std::string program = asked.argv[0];
  if (!allowed_.allows(program)) return refusal(403, program + " is not allowed to run");
  if (is_draining) return refusal(503, "the server is ending");
  if (jobs_.is_full()) {
    auto answer = refusal(503, "as many jobs run as may: " + std::to_string(settings_.max_jobs));
    answer.headers = {{"retry-after:", "1"}};
    return answer;
  }
  const job* started = nullptr;
  int error = jobs_.start(std::move(asked), &started);
  if (error != 0) {
    bool is_passing = error == UV_EAGAIN || error == UV_ENOMEM || error == UV_EMFILE || error == UV_ENFILE;
    return refusal(is_passing ? 503 : 422, "cannot start " + program + ": " + uv_strerror(error));
  }
  http_answer answer{201, text_of(started->brief())};
  answer.headers = {{"location:", "/jobs/" + std::to_string(started->id)}};
  return answer;
}

http_answer application::end_job(const job& job) {
  if (job.end) return refusal(409, "job " + std::to_string(job.id) + " has ended");
  jobs_.terminate(job.id);
  return {202, text_of(job.brief())};
}
