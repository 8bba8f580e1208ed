#include "http.hpp"

#include <microhttpd.h>
#include <strings.h>

#include <algorithm>
#include <ctime>

#include "../shared/json_text.hpp"

bool same_name(std::string_view one, std::string_view other) {
  return one.size() == other.size() && ::strncasecmp(one.data(), other.data(), one.size()) == 0;
}

std::optional<std::string> http_request::field(std::string_view name) const {
  for (const auto& [given, value] : fields) {
    if (same_name(given, name)) return value;
  }
  return {};
}

std::size_t http_request::count(std::string_view name) const {
  auto is_it = [name](const auto& field) { return same_name(field.first, name); };
  return static_cast<std::size_t>(std::count_if(fields.begin(), fields.end(), is_it));
}

http_answer problem(int status, std::string_view detail) {
  const char* title = MHD_get_reason_phrase_for(static_cast<unsigned>(status));
  nlohmann::ordered_json what{{"status", status}, {"title", title}, {"detail", detail}};
  http_answer answer{status, what.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n'};
  answer.type = "application/problem+json";
  answer.detail = detail;
  return answer;
}

std::string last_words(const http_answer& answer) {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char date[sizeof "Sun, 29 Nov 2026 18:00:00 GMT"];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     MHD_get_reason_phrase_for(static_cast<unsigned>(answer.status)) + "\r\n";
  auto add = [&text](std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
  };
  add("Date", date);
  add("Connection", "close");
  add("Content-Type", answer.type);
  add("Content-Length", std::to_string(answer.body.size()));
  for (const auto& [name, value] : answer.fields) add(name, value);
  return text + "\r\n" + answer.body;
}

std::optional<http_answer> wrong_framing(const http_request& request) {
  for (const auto& [name, value] : request.fields) {
    if (name.empty() || name.find_first_of(" \t") != std::string::npos) {
      return problem(400, "a field's name holds a blank");
    }
    auto is_control = [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; };
    if (std::any_of(value.begin(), value.end(), is_control)) {
      return problem(400, "the field " + name + " holds a control character");
    }
  }
  auto lengths = request.count("Content-Length");
  auto encodings = request.count("Transfer-Encoding");
  if (lengths > 1) return problem(400, "Content-Length is given twice");
  if (encodings > 0 && lengths > 0) return problem(400, "Content-Length stands beside Transfer-Encoding");
  if (encodings > 0 && request.is_http_1_0) return problem(400, "HTTP/1.0 has no Transfer-Encoding");
  if (encodings > 1 || !same_name(request.field("Transfer-Encoding").value_or("chunked"), "chunked")) {
    return problem(501, "the only Transfer-Encoding is chunked");
  }
  std::string length = request.field("Content-Length").value_or("0");
  if (length.empty() || length.find_first_not_of("0123456789") != std::string::npos) {
    return problem(400, "Content-Length is no number");
  }
  if (request.count("Host") > 1) return problem(400, "Host is given twice");
  return {};
}
