#include "job.hpp"

#include <uv.h>

#include "../shared/usage_json.hpp"

namespace {

using json = job::json;

constexpr std::size_t brief_argv = 200;  // bytes

// A list of a thousand jobs must not become as large as their arguments may be.
json cut_argv(const std::vector<std::string>& argv) {
  json cut = json::array();
  std::size_t room = brief_argv;
  for (const std::string& word : argv) {
    if (word.size() > room) {
      cut.push_back(word.substr(0, room) + "...");
      break;
    }
    cut.push_back(word);
    room -= word.size();
  }
  return cut;
}

json output_of(const uvreap::captured& stream) {
  json cut;  // null
  if (stream.cut_by_time) cut = "by time: somebody held it open";
  if (stream.cut_by_limit) cut = "by limit";
  return {{"text", stream.bytes}, {"bytes", stream.bytes.size()}, {"cut", cut}};
}

}  // namespace

std::size_t job::memory() const {
  std::size_t sum = sizeof *this;
  for (const std::string& word : argv) sum += sizeof(std::string) + word.size();
  if (end) sum += end->output.bytes.capacity() + end->error_output.bytes.capacity();
  return sum;
}

double job::wall_ms() const {
  auto time = end ? wall : std::chrono::nanoseconds(uv_hrtime() - started_ns);
  return std::chrono::duration<double, std::milli>(time).count();
}

json job::brief() const {
  auto started_ms = std::chrono::duration_cast<std::chrono::milliseconds>(started.time_since_epoch());
  json all{{"id", id},   {"state", end ? "ended" : "running"}, {"argv", cut_argv(argv)},
           {"pid", pid}, {"started_ms", started_ms.count()},   {"wall_ms", wall_ms()}};
  if (!end) return all;
  const uvreap::wait_status& status = end->status;
  all["status"] = end->lost ? "lost" : status.text();
  all["exit_code"] = status.exited() ? json(status.exit_code()) : json();
  all["signal"] = status.signaled() ? json(status.term_signal()) : json();
  all["timed_out"] = end->timed_out;
  all["terminated"] = is_terminated;
  return all;
}

json job::full() const {
  json all = brief();
  all["argv"] = argv;
  all["timeout"] = timeout.count() > 0 ? json(static_cast<double>(timeout.count()) / 1000) : json();
  if (!end) return all;
  all["usage"] = usage_json(end->usage);
  all["stdout"] = output_of(end->output);
  all["stderr"] = output_of(end->error_output);
  return all;
}

std::string text_of(const job::json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}
