// GET /metrics: what is counted, in Prometheus's text format.
#pragma once

#include <string>

#include "children.hpp"
#include "jobs.hpp"
#include "lateness.hpp"
#include "web_server.hpp"

[[nodiscard]] std::string metrics_of(const jobs&, const children&, const web_server&, const lateness&);
