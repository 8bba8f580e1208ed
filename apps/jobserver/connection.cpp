#include "connection.hpp"

#include <algorithm>

#include "web_limits.hpp"

namespace {

constexpr std::size_t longest_write = 64 << 10;

std::string header_of(lws* wsi, lws_token_indexes token) {
  auto length = static_cast<std::size_t>(lws_hdr_total_length(wsi, token));
  std::string text(length + 1, '\0');
  int copied = lws_hdr_copy(wsi, text.data(), static_cast<int>(text.size()), token);
  text.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return text;
}

struct spelling {
  method how;
  lws_token_indexes token;
};

constexpr spelling spellings[] = {
    {method::get, WSI_TOKEN_GET_URI},       {method::head, WSI_TOKEN_HEAD_URI},
    {method::post, WSI_TOKEN_POST_URI},     {method::del, WSI_TOKEN_DELETE_URI},
    {method::other, WSI_TOKEN_PUT_URI},     {method::other, WSI_TOKEN_PATCH_URI},
    {method::other, WSI_TOKEN_OPTIONS_URI},
};

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(const char* text) { return reinterpret_cast<const unsigned char*>(text); }

}  // namespace

http_request request_of(lws* wsi) {
  http_request request;
  for (const spelling& one : spellings) {
    if (lws_hdr_total_length(wsi, one.token) == 0) continue;
    request.how = one.how;
    request.path = header_of(wsi, one.token);
  }
  auto arguments = static_cast<std::size_t>(lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS));
  request.is_too_long = std::max(request.path.size(), arguments) >= longest_path;
  request.host = header_of(wsi, WSI_TOKEN_HOST);
  request.origin = header_of(wsi, WSI_TOKEN_ORIGIN);
  request.authorization = header_of(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
  request.subprotocols = header_of(wsi, WSI_TOKEN_PROTOCOL);
  request.content_type = header_of(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
  if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0) {
    request.content_length = header_of(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
  }
  request.is_chunked = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
  return request;
}

bool connection::reserve(std::size_t bytes) {
  if (bytes > reserved_ && all_.bytes - reserved_ + bytes > transit::most) return false;
  all_.bytes += bytes - reserved_;
  reserved_ = bytes;
  return true;
}

int connection::begin(lws* wsi, const http_answer& answer, bool closes) {
  std::string head(LWS_PRE + 4096, '\0');
  unsigned char* at = bytes_of(head) + LWS_PRE;
  unsigned char* end = bytes_of(head) + head.size() - 1;
  auto add = [&](const char* name, const char* value, std::size_t length) {
    return lws_add_http_header_by_name(wsi, bytes_of(name), bytes_of(value), static_cast<int>(length), &at,
                                       end);
  };
  auto status = static_cast<unsigned>(answer.status);
  if (lws_add_http_common_headers(wsi, status, answer.type, answer.body.size(), &at, end) != 0) return -1;
  for (const auto& [name, value] : answer.headers) {
    if (add(name, value.c_str(), value.size()) != 0) return -1;
  }
  if (closes && add("connection:", "close", 5) != 0) return -1;
  if (lws_finalize_http_header(wsi, &at, end) != 0) return -1;
  head.resize(static_cast<std::size_t>(at - bytes_of(head)));
  out_ = std::move(head);
  if (request.how != method::head) out_ += answer.body;
  at_ = LWS_PRE;
  closes_ = closes;
  return go_on(wsi);
}

// A write at a time, when the client has taken the last one: the library keeps what the socket does not take.
int connection::go_on(lws* wsi) {
  std::size_t length = std::min(out_.size() - at_, longest_write);
  auto kind = at_ == LWS_PRE ? LWS_WRITE_HTTP_HEADERS : LWS_WRITE_HTTP;
  if (lws_write(wsi, bytes_of(out_) + at_, length, kind) < 0) return -1;
  at_ += length;
  if (at_ < out_.size()) {
    lws_callback_on_writable(wsi);
    return 0;
  }
  out_ = {};
  return 1;
}
