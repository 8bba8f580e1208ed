#include "job_outputs.hpp"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "../shared/visible_text.hpp"
#include "file_output.hpp"

namespace {

class dropped_output : public job_output {
 public:
  int prepare(uvreap::command& command) override {
    command.output = command.error_output = uvreap::stdio::null();
    return 0;
  }
  void finish(std::function<void()> complete, std::function<void()> said) override {
    complete();
    said();
  }
};

}  // namespace

job_outputs::job_outputs(uv_loop_t& loop, console& console, const run_settings& settings)
    : loop_(loop), settings_(settings), printer_(loop, buffer_, console, settings) {}

int job_outputs::open() {
  take_reserve();
  if (settings_.output != output_mode::files) return 0;
  std::error_code error;
  std::filesystem::create_directories(settings_.directory, error);
  return error ? uv_translate_sys_error(error.value()) : 0;
}

// libuv opens a descriptor for itself with the first stream of a loop, and keeps it (emfile_fd). Not after
// the first job has begun: with a limit that is reached by it the others would find none.
void job_outputs::take_reserve() {
  auto* first = new uv_pipe_t;
  uv_pipe_init(&loop_, first, 0);
  uv_close(reinterpret_cast<uv_handle_t*>(first),
           [](uv_handle_t* pipe) { delete reinterpret_cast<uv_pipe_t*>(pipe); });
}

std::unique_ptr<job_output> job_outputs::make(const job& job, int attempt, job_output::listener listener) {
  switch (settings_.output) {
    case output_mode::group:
    case output_mode::lines:
      return printer_.make({job.number, attempt},
                           settings_.tag && !settings_.json ? visible_text(job.name) + '\t' : "",
                           std::move(listener));
    case output_mode::files:
      return std::make_unique<file_output>(
          loop_, buffer_, settings_.directory + '/' + std::to_string(job.number), std::move(listener));
    case output_mode::none:
      break;
  }
  return std::make_unique<dropped_output>();
}

void job_outputs::expect(const job& job, int attempt) { printer_.expect({job.number, attempt}); }
void job_outputs::dismiss(const job& job, int attempt) { printer_.dismiss({job.number, attempt}); }
void job_outputs::go_on() { printer_.go_on(); }
