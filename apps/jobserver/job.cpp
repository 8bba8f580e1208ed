#include "job.hpp"

#include <uv.h>

#include "../shared/usage_json.hpp"

namespace {

using json = job::json;

constexpr std::size_t brief_argv = 200;  // bytes
constexpr std::size_t members = 21;      // of a job
constexpr const char* ending_names[] = {nullptr, "exited", "killed", "lost", "canceled", "not_started"};

std::int64_t ms_of(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

json or_null(bool is_there, json value) { return is_there ? std::move(value) : json(); }

json names_of(const std::map<std::string, std::string>& env) {
  json names = json::array();
  for (const auto& [name, value] : env) names.push_back(name);
  return names;
}

json output_of(const job& job, stream which) {
  const auto& output = job.outputs[static_cast<std::size_t>(which)];
  if (!output) return {{"bytes", 0}, {"cut", nullptr}};
  json cut;  // null
  if (job.is_cut_by_time && output->is_open()) cut = "time";
  if (output->is_above_limit()) cut = "limit";
  return {{"bytes", output->bytes()}, {"cut", cut}};
}

}  // namespace

double job::wall_ms() const {
  if (!started) return 0;
  auto time = runs() ? std::chrono::nanoseconds(uv_hrtime() - started_ns) : wall;
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string job::status() const {
  if (!why_not_started.empty()) return why_not_started;
  if (end == ending::canceled) return "canceled before it was started";
  if (!exit) return {};
  return exit->lost ? "lost: another program took its status" : exit->status.text();
}

json job::full(std::size_t position) const {
  bool has_exit = has_ended() && exit;
  const uvreap::wait_status status = has_exit ? exit->status : uvreap::wait_status();
  double timeout = std::chrono::duration<double>(asked.timeout).count();
  // One by one: an initializer list copies each of them, and takes twice the time.
  json all = json::object();
  all.get_ref<json::object_t&>().reserve(members);
  all["id"] = id;
  all["state"] = has_ended() ? "ended" : started ? "running" : "queued";
  all["argv"] = asked.argv;
  all["cwd"] = or_null(!asked.cwd.empty(), asked.cwd);
  all["timeout"] = or_null(timeout > 0, timeout);
  all["stdin_bytes"] = input_bytes;
  all["env_names"] = names_of(asked.env);
  all["created_ms"] = ms_of(created);
  all["started_ms"] = started ? json(ms_of(*started)) : json();
  all["wall_ms"] = wall_ms();
  all["pid"] = or_null(pid != 0, pid);
  all["position"] = or_null(position != 0, position);
  all["terminated"] = is_terminated;
  all["end"] = has_ended() ? json(ending_names[static_cast<std::size_t>(end)]) : json();
  all["status"] = or_null(has_ended(), this->status());
  all["exit_code"] = or_null(status.exited(), status.exit_code());
  all["signal"] = or_null(status.signaled(), status.term_signal());
  all["timed_out"] = has_exit && exit->timed_out;
  all["usage"] = has_exit && !exit->lost ? usage_json(exit->usage) : json();
  all["stdout"] = output_of(*this, stream::output);
  all["stderr"] = output_of(*this, stream::error_output);
  return all;
}

bool job::is_brief(const json& full) {
  std::size_t bytes = 0;
  for (const json& argument : full["argv"]) bytes += argument.get_ref<const std::string&>().size();
  return bytes <= brief_argv;
}

json job::brief_of(json full) {
  if (is_brief(full)) return full;
  json cut = json::array();
  std::size_t room = brief_argv;
  for (const json& argument : full["argv"]) {
    const auto& word = argument.get_ref<const std::string&>();
    if (word.size() > room) {
      cut.push_back(word.substr(0, room) + "...");
      break;
    }
    cut.push_back(word);
    room -= word.size();
  }
  full["argv"] = std::move(cut);
  return full;
}

std::string text_of(const job::json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}
