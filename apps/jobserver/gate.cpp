#include "gate.hpp"

#include <algorithm>

namespace {

// "localhost:8080" is localhost, and "[::1]:80" is ::1.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

// A browser leaves out the port that its scheme has anyway, and a proxy may put it in.
std::string_view without_default_port(std::string_view host, std::string_view scheme) {
  std::string_view port = scheme == "https://" ? ":443" : ":80";
  return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
}

bool is_origin_of(std::string_view origin, std::string_view scheme, std::string_view host) {
  if (!same_name(origin.substr(0, scheme.size()), scheme)) return false;
  return same_name(without_default_port(origin.substr(scheme.size()), scheme),
                   without_default_port(host, scheme));
}

// A link that the user follows, in a tab of its own: the other page sees nothing of the answer.
bool is_opened_by_the_user(const http_request& request) {
  return (request.how == method::get || request.how == method::head) &&
         request.field("Sec-Fetch-Mode") == "navigate" && request.field("Sec-Fetch-Dest") == "document";
}

}  // namespace

// A page of another origin, which a browser of this machine has open, must not run commands here. One that
// gives its own name this machine's address (DNS rebinding) is of the same origin, but says that name.
std::optional<http_answer> gate::refuse_stranger(const http_request& request,
                                                 const std::optional<std::string>& host) const {
  if (!host && !request.is_http_1_0) return problem(400, "Host is missing");
  if (host && host->empty()) return problem(400, "Host is empty");
  // No browser speaks HTTP/1.0, or to a Unix socket: no page can be behind those.
  if (host && request.is_by_network && !token_.is_needed() && !is_own_name(*host)) {
    return problem(403, "Host is " + *host + ": without a token only this machine's own names are answered");
  }
  auto origin = request.field("Origin");
  if (origin && !is_own_origin(*origin, host.value_or(""))) {
    return problem(403, "Origin is " + *origin + ": only this server's own page may ask (--origin)");
  }
  // Browsers send no Origin with a GET for an image, a script or a frame, but they say whose page it is for
  // (Fetch Metadata). What else they may say in years to come is to be ignored.
  auto site = request.field("Sec-Fetch-Site");
  if (!origin && (site == "cross-site" || site == "same-site") && !is_opened_by_the_user(request)) {
    return problem(403, "Sec-Fetch-Site is " + *site + ": only this server's own page may ask");
  }
  return {};
}

bool gate::is_own_name(const std::string& host) const {
  std::string_view name = without_port(host);
  auto is_it = [name](std::string_view own) { return same_name(own, name); };
  auto is_its_host = [&](std::string_view origin) {
    return is_it(without_port(origin.substr(origin.find("://") + 3)));
  };
  return is_it("localhost") || is_it("127.0.0.1") || is_it("::1") ||
         std::any_of(settings_.listen.begin(), settings_.listen.end(), is_it) ||
         std::any_of(settings_.origins.begin(), settings_.origins.end(), is_its_host);
}

// With a token, a proxy's https is taken on trust: pages of other origins do not have it.
bool gate::is_own_origin(std::string_view origin, const std::string& host) const {
  auto is_it = [origin](std::string_view own) { return same_name(own, origin); };
  return is_origin_of(origin, "http://", host) ||
         (token_.is_needed() && is_origin_of(origin, "https://", host)) ||
         std::any_of(settings_.origins.begin(), settings_.origins.end(), is_it);
}

std::optional<http_answer> gate::refuse_without_token(const http_request& request) const {
  if (!token_.is_needed()) return {};
  constexpr std::string_view scheme = "Bearer ";
  std::string given = request.field("Authorization").value_or("");
  if (same_name(std::string_view(given).substr(0, scheme.size()), scheme) &&
      request.count("Authorization") == 1) {
    std::string_view guess = std::string_view(given).substr(scheme.size());
    while (guess.starts_with(' ')) guess.remove_prefix(1);
    if (token_.is(guess)) return {};
  }
  auto answer = problem(401, "this needs Authorization: Bearer and the token");
  answer.fields = {{"WWW-Authenticate", "Bearer"}};
  return answer;
}
