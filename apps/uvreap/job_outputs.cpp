#include "job_outputs.hpp"

#include <fcntl.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace {

class dropped_output : public job_output {
 public:
  int prepare(uvreap::command& command) override {
    command.output = command.error_output = uvreap::stdio::null();
    return 0;
  }
  void finish(std::function<void()> done) override { done(); }
};

class output_to_files : public job_output {
 public:
  explicit output_to_files(std::string path) : path_(std::move(path)) {}
  int prepare(uvreap::command& command) override {
    constexpr int anew = O_WRONLY | O_CREAT | O_TRUNC;
    command.output = uvreap::stdio::file(path_ + ".out", anew);
    command.error_output = uvreap::stdio::file(path_ + ".err", anew);
    return 0;
  }
  void finish(std::function<void()> done) override { done(); }

 private:
  std::string path_;
};

}  // namespace

job_outputs::job_outputs(uv_loop_t& loop, console& console, const run_settings& settings)
    : settings_(settings), printer_(console), reader_(loop, console) {}

int job_outputs::open() {
  if (settings_.output != output_mode::files) return 0;
  std::error_code error;
  std::filesystem::create_directories(settings_.directory, error);
  return error ? uv_translate_sys_error(error.value()) : 0;
}

std::unique_ptr<job_output> job_outputs::make(std::uint64_t job, job_output::listener listener) {
  switch (settings_.output) {
    case output_mode::group:
      return printer_.make(std::move(listener));
    case output_mode::lines:
      return reader_.make(std::move(listener));
    case output_mode::files:
      // The child opens it, after its chdir or before, as it likes: so by its whole path.
      return std::make_unique<output_to_files>(std::filesystem::absolute(settings_.directory) /
                                               std::to_string(job));
    case output_mode::none:
      break;
  }
  return std::make_unique<dropped_output>();
}

void job_outputs::go_on() {
  printer_.go_on();
  reader_.go_on();
}
