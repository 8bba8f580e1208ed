// Which request gets which answer.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>

#include "allow_list.hpp"
#include "http.hpp"
#include "jobs.hpp"
#include "settings.hpp"
#include "token.hpp"

class application {
 public:
  application(jobs&, const allow_list&, const token&, const settings&);

  std::function<std::string()> metrics = [] { return std::string(); };
  bool is_draining = false;

  // What can be refused before its body is read.
  [[nodiscard]] std::optional<http_answer> refuse(const http_request&) const;
  // Whether this may become a WebSocket.
  [[nodiscard]] std::optional<http_answer> refuse_socket(const http_request&) const;
  [[nodiscard]] http_answer answer(const http_request&);

 private:
  [[nodiscard]] std::optional<http_answer> refuse_stranger(const http_request&) const;
  [[nodiscard]] std::optional<http_answer> refuse_body(const http_request&) const;
  [[nodiscard]] bool bears_token(const http_request&) const;
  [[nodiscard]] http_answer start_job(const http_request&);
  [[nodiscard]] http_answer end_job(const job&);

  jobs& jobs_;
  const allow_list& allowed_;
  const token& token_;
  const settings& settings_;
};
