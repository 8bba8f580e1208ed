// Who may ask at all: by the names that a request uses for us, the page that it comes from, and its token.
#pragma once

#include <optional>

#include "http.hpp"
#include "settings.hpp"
#include "token.hpp"

class gate {
 public:
  gate(const settings& settings, const token& token) : settings_(settings), token_(token) {}

  [[nodiscard]] bool needs_token() const { return token_.is_needed(); }

  // host: what the request says that we are called.
  [[nodiscard]] std::optional<http_answer> refuse_stranger(const http_request&,
                                                           const std::optional<std::string>& host) const;
  [[nodiscard]] std::optional<http_answer> refuse_without_token(const http_request&) const;

 private:
  [[nodiscard]] bool is_own_name(const std::string& host) const;
  [[nodiscard]] bool is_own_origin(std::string_view origin, const std::string& host) const;

  const settings& settings_;
  const token& token_;
};
