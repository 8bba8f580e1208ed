// Which request gets which answer.
#pragma once

#include <functional>
#include <optional>

#include "allow_list.hpp"
#include "events.hpp"
#include "gate.hpp"
#include "http.hpp"
#include "jobs.hpp"
#include "settings.hpp"
#include "target.hpp"

class routes {
 public:
  routes(jobs&, events&, const allow_list&, const gate&, const settings&);

  std::function<std::string()> metrics = [] { return std::string(); };
  bool is_draining = false;

  // What can be refused before its body is read.
  [[nodiscard]] std::optional<http_answer> refuse(const http_request&) const;
  void answer(const http_request&, const http_reply&);

 private:
  void start_job(const http_request&, const http_reply&);
  [[nodiscard]] http_answer list(const target&) const;
  [[nodiscard]] http_answer output(const http_request&, const target&, const std::string& id, stream);
  [[nodiscard]] http_answer end_job(const std::string& id);

  jobs& jobs_;
  events& events_;
  const allow_list& allowed_;
  const gate& gate_;
  const settings& settings_;
};
