#include "job_list.hpp"

#include <unistd.h>

#include <algorithm>

#include "command_template.hpp"
#include "words.hpp"

namespace {

class one_job : public job_list {
 public:
  explicit one_job(job only) : only_(std::move(only)) {}

  std::optional<job> next() override {
    if (jobs() != 0) return {};
    return numbered(only_);
  }
  [[nodiscard]] bool is_over() const override { return jobs() != 0; }
  void close() override {}
  [[nodiscard]] std::optional<double> share() const override { return jobs() != 0 ? 1 : 0; }

 private:
  job only_;
};

bool reads_terminal(const run_settings& settings) {
  auto is_input = [](const argument_list& list) { return list.file == "-"; };
  bool reads_input = std::find(settings.lists.begin(), settings.lists.end(), "-") != settings.lists.end() ||
                     std::any_of(settings.arguments.begin(), settings.arguments.end(), is_input);
  return reads_input && ::isatty(STDIN_FILENO) == 1;
}

}  // namespace

std::unique_ptr<job_list> make_job_list(uv_loop_t& loop, const run_settings& settings,
                                        const job_list::listener& listener) {
  if (reads_terminal(settings)) listener.hinted("reads from the terminal; Ctrl-D ends the list");
  if (settings.command.empty()) return make_listed_jobs(loop, settings, listener);
  if (!settings.is_one_command()) return make_argument_jobs(loop, settings, listener);
  if (settings.by_shell) return std::make_unique<one_job>(shell_job_of(joined(settings.command)));
  if (command_template(settings.command, 1).has_replacements())
    listener.hinted(
        "no arguments were given, and braces stay as they are; -a - reads arguments from standard input");
  job only = job_of(settings.command);
  only.name = settings.command.front();
  return std::make_unique<one_job>(std::move(only));
}
