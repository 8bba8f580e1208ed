// GET /metrics: what is counted, in Prometheus's text format.
#pragma once

#include <string>

#include "children.hpp"
#include "events.hpp"
#include "jobs.hpp"
#include "lateness.hpp"
#include "logger.hpp"
#include "web_server.hpp"

struct measured {
  const jobs& all_jobs;
  const children& their_children;
  const web_server& web;
  const events& told;
  const lateness& late;
  const logger& log;
};

[[nodiscard]] std::string metrics_of(const measured&);
