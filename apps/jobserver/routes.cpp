#include "routes.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "page.hpp"
#include "range.hpp"

namespace {

enum class place { page, health, metrics, openapi, jobs, job, output, error_output, events, nowhere };

struct destination {
  place where = place::nowhere;
  std::string id{};  // of a job
};

// Where jobs were before /v1; there they answer as they do now.
bool is_deprecated(const std::string& path) {
  return path == "/jobs" || path.starts_with("/jobs/") || path == "/events";
}

const page_file* page_file_at(std::string_view path) {
  auto found = std::find_if(page_files.begin(), page_files.end(),
                            [path](const page_file& file) { return file.path == path; });
  return found != page_files.end() ? &*found : nullptr;
}

destination destination_of(std::string path) {
  if (is_deprecated(path)) path.insert(0, "/v1");
  static const std::map<std::string, place> places{{"/healthz", place::health},
                                                   {"/metrics", place::metrics},
                                                   {"/v1/openapi.json", place::openapi},
                                                   {"/v1/jobs", place::jobs},
                                                   {"/v1/events", place::events}};
  if (auto found = places.find(path); found != places.end()) return {found->second};
  if (page_file_at(path) != nullptr) return {place::page};
  constexpr std::string_view before_id = "/v1/jobs/";
  if (!path.starts_with(before_id)) return {};
  std::string rest = path.substr(before_id.size());
  std::string id = rest.substr(0, rest.find('/'));
  std::string below = rest.substr(id.size());
  if (!uuid7::is_one(id)) return {};
  if (below.empty()) return {place::job, id};
  if (below == "/stdout") return {place::output, id};
  if (below == "/stderr") return {place::error_output, id};
  return {};
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
  return where != place::page && where != place::health && where != place::openapi;
}

bool is_json(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return same_name(type, "application/json");
}

// The page is told beforehand whether it needs a token: to be refused first is an error in the browser's
// console.
http_answer page(const page_file& file, bool needs_token) {
  http_answer answer{200, std::string(file.text), file.type};
  constexpr std::string_view blank = "{{token}}";
  if (auto at = answer.body.find(blank); file.path == "/" && at != std::string::npos) {
    answer.body.replace(at, blank.size(), needs_token ? "needed" : "none");
  }
  answer.fields = {{"Content-Security-Policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"},
                   {"X-Content-Type-Options", "nosniff"},
                   {"Cache-Control", "no-cache"}};
  return answer;
}

http_answer no_job(const std::string& id) { return problem(404, "there is no job " + id); }

// RFC 9745 and RFC 5829. The link is relative to what was asked for: a proxy may have us under a prefix.
http_reply deprecated(const std::string& path, const http_reply& reply) {
  std::string there = path.starts_with("/jobs/") ? "../" : "";
  if (path.ends_with("/stdout") || path.ends_with("/stderr")) there += "../";
  there += "v1" + path;
  return [reply, there](http_answer answer) {
    answer.fields.emplace_back("Deprecation", "@1795910400");  // since 2026-11-29
    answer.fields.emplace_back("Link", "<" + there + ">; rel=\"successor-version\"");
    reply(std::move(answer));
  };
}

}  // namespace

routes::routes(jobs& jobs, events& events, const allow_list& allowed, const gate& gate,
               const settings& settings)
    : jobs_(jobs), events_(events), allowed_(allowed), gate_(gate), settings_(settings) {}

std::optional<http_answer> routes::refuse(const http_request& request) const {
  auto target = target::read(request.target);
  if (!target) return problem(400, "the target holds a control character, or a % that is no escape");
  auto host = target->authority ? target->authority : request.field("Host");
  if (auto stranger = gate_.refuse_stranger(request, host)) return stranger;
  auto where = destination_of(target->path).where;
  if (needs_token(where)) {
    if (auto refused = gate_.refuse_without_token(request)) return refused;
  }
  if (where == place::nowhere) return problem(404, "there is nothing at " + target->path);
  if (!is_method_of(where, request.how)) {
    auto answer = problem(405, request.method_name + " is not for " + target->path);
    answer.fields = {{"Allow", methods_of(where)}};
    return answer;
  }
  // What a form of any page could send as well is not taken.
  bool is_order = where == place::jobs && request.how == method::post;
  if (is_order && !is_json(request.field("Content-Type").value_or(""))) {
    return problem(415, "POST needs Content-Type: application/json");
  }
  return {};
}

void routes::answer(const http_request& request, const http_reply& to) {
  auto target = target::read(request.target);
  auto [where, id] = destination_of(target->path);
  bool is_known = where != place::nowhere;
  const http_reply reply = is_known && is_deprecated(target->path) ? deprecated(target->path, to) : to;
  switch (where) {
    case place::page:
      return reply(page(*page_file_at(target->path), gate_.needs_token()));
    case place::health:
      return reply({is_draining ? 503 : 200, is_draining ? "draining\n" : "ok\n", "text/plain"});
    case place::metrics:
      return reply({200, metrics(), "text/plain; version=0.0.4"});
    case place::openapi:
      return reply({200, std::string(openapi_json)});
    case place::jobs:
      return request.how == method::post ? start_job(request, reply) : reply(list(*target));
    case place::job: {
      if (request.how == method::del) return reply(end_job(id));
      auto text = jobs_.text(id);
      return reply(text ? http_answer{200, *std::move(text)} : no_job(id));
    }
    case place::output:
      return reply(output(request, *target, id, stream::output));
    case place::error_output:
      return reply(output(request, *target, id, stream::error_output));
    case place::events: {
      http_answer answer{200, "", "text/event-stream"};
      answer.stream = events_.listen();
      answer.fields = {{"Cache-Control", "no-cache"},
                       {"X-Accel-Buffering", "no"}};  // nginx would gather them
      return reply(std::move(answer));
    }
    case place::nowhere:
      break;
  }
  reply(problem(404, "there is nothing at " + target->path));
}

void routes::start_job(const http_request& request, const http_reply& reply) {
  job_request asked;
  if (std::string wrong = asked.read(request.body); !wrong.empty()) return reply(problem(400, wrong));
  if (std::string why = allowed_.why_not(asked); !why.empty()) return reply(problem(403, why));
  if (is_draining) return reply(problem(503, "the server is ending"));
  jobs_.start(std::move(asked), request.client, [this, reply](const jobs::outcome& outcome) {
    using kind = jobs::outcome::kind;
    http_answer answer;
    switch (outcome.what) {
      case kind::runs:
      case kind::waits:
        answer = {outcome.what == kind::runs ? 201 : 202, text_of(outcome.made->full(outcome.position))};
        answer.fields = {{"Location", "jobs/" + outcome.made->id}};
        break;
      case kind::full:
        answer = problem(503, "as many jobs run and wait as may: " + std::to_string(settings_.max_jobs) +
                                  " and " + std::to_string(jobs_.queued()));
        answer.fields = {{"Retry-After", "1"}};
        break;
      case kind::not_started:
        answer = problem(jobs::is_passing(outcome.error) ? 503 : 422, outcome.why);
        break;
      case kind::not_stored:
        answer = problem(503, "the job cannot be written down");
        break;
    }
    reply(std::move(answer));
  });
}

http_answer routes::list(const target& target) const {
  const std::string* after = target.value("after");
  if (after != nullptr && !uuid7::is_one(*after)) return problem(400, "after is no id of a job");
  int limit = 100;
  if (const std::string* text = target.value("limit")) {
    const char* end = text->data() + text->size();
    auto [read_to, error] = std::from_chars(text->data(), end, limit);
    if (error != std::errc() || read_to != end || limit < 1 || limit > 1000) {
      return problem(400, "limit is no number from 1 to 1000");
    }
  }
  return {200, jobs_.page(after != nullptr ? *after : "", limit)};
}

http_answer routes::output(const http_request& request, const target& target, const std::string& id,
                           stream which) {
  auto found = jobs_.find_output(id, which);
  if (!found) return no_job(id);
  // It is a stranger's text: whatever it holds, a browser shows it as text and runs none of it.
  http_answer answer{200, "", "text/plain; charset=utf-8"};
  answer.fields = {{"X-Content-Type-Options", "nosniff"},
                   {"Content-Security-Policy", "default-src 'none'; sandbox"},
                   {"Cache-Control", "no-store"}};
  if (target.value("follow") != nullptr) {
    answer.stream = jobs_.follow(*found, which);
    return answer;
  }
  answer.fields.emplace_back("Accept-Ranges", "bytes");
  // Range is for GET alone. We give no validator that an If-Range could match (RFC 9110, 14.2 and 13.1.5).
  bool is_for_range = request.how == method::get && !request.field("If-Range");
  auto range = byte_range::of(is_for_range ? request.field("Range").value_or("") : "", found->length);
  std::string total = found->is_over ? std::to_string(found->length) : "*";
  if (range.what == byte_range::kind::unsatisfiable) {
    answer = problem(416, "there are only " + std::to_string(found->length) + " bytes");
    answer.fields = {{"Content-Range", "bytes */" + std::to_string(found->length)}};
    return answer;
  }
  bool is_part = range.what == byte_range::kind::part;
  if (is_part) {
    answer.status = 206;
    answer.fields.emplace_back("Content-Range", "bytes " + std::to_string(range.begin) + "-" +
                                                    std::to_string(range.begin + range.length - 1) + "/" +
                                                    total);
  }
  answer.stream = is_part ? jobs_.read(*found, which, range.begin, range.length)
                          : jobs_.read(*found, which, 0, found->length);
  return answer;
}

http_answer routes::end_job(const std::string& id) {
  switch (jobs_.terminate(id)) {
    case jobs::termination::unknown:
      return no_job(id);
    case jobs::termination::ended_before:
      return problem(409, "job " + id + " has ended");
    case jobs::termination::begun:
      break;
  }
  return {202, jobs_.text(id).value_or("")};
}
