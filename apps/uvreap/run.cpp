#include "run.hpp"

#include <unistd.h>
#include <uv.h>

#include <clocale>
#include <cstdio>
#include <memory>
#include <string>

#include "../shared/thread_pool.hpp"
#include "console.hpp"
#include "dry_run.hpp"
#include "job_runner.hpp"
#include "run_report.hpp"
#include "run_settings.hpp"
#include "run_signals.hpp"

namespace {

std::unique_ptr<run_report> report_for(console& console, const run_settings& settings) {
  if (settings.json) return make_json_run_report(console, settings.is_one_command());
  if (settings.is_one_command()) return make_one_command_report(console, settings);
  return make_text_run_report(console, settings);
}

int print_jobs(uv_loop_t& loop, const run_settings& settings) {
  dry_run* run = nullptr;
  auto failed = [&run](int error) { run->fail("cannot write: " + std::string(uv_strerror(error))); };
  console console(loop, failed);
  dry_run the_run(loop, settings, console);
  run = &the_run;
  the_run.start();
  uv_run(&loop, UV_RUN_DEFAULT);
  return the_run.exit_status();
}

}  // namespace

int run(int argc, char** argv) {
  run_settings settings;
  if (auto status = settings.read(argc, argv)) return *status;
  if (!output::prepare()) return our_error;
  std::setlocale(LC_CTYPE, "C.UTF-8");  // for the width of names; all else here takes text as bytes

  uv_loop_t loop;
  if (int error = uv_loop_init(&loop); error != 0) {
    std::fprintf(stderr, "uvreap run: cannot make a loop: %s\n", uv_strerror(error));
    return our_error;
  }
  if (settings.dry_run) {
    int status = print_jobs(loop, settings);
    return uv_loop_close(&loop) == 0 ? status : our_error;
  }
  if (int error = start_thread_pool(loop); error != 0) {
    std::fprintf(stderr, "uvreap run: cannot make threads: %s\n", uv_strerror(error));
    return our_error;
  }
  int status = our_error;
  int signum = 0;
  {
    job_runner* runner = nullptr;
    auto failed = [&runner](int error) { runner->fail("cannot write: " + std::string(uv_strerror(error))); };
    console console(loop, failed);
    auto report = report_for(console, settings);
    job_runner the_runner(loop, settings, console, *report);
    runner = &the_runner;
    the_runner.start();
    uv_run(&loop, UV_RUN_DEFAULT);
    status = the_runner.exit_status();
    signum = the_runner.deadly_signal();
    // The thread pool still writes from what would be freed here.
    if (console.is_busy()) {
      die_of(signum);
      ::_exit(status);
    }
  }
  if (uv_loop_close(&loop) != 0) return our_error;
  if (signum != 0) die_of(signum);
  return status;
}
