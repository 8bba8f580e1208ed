#include "job_command.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "../shared/program_file.hpp"

namespace {

uvreap::command plain_command(const job& job) {
  uvreap::command command{.argv = job.argv, .cwd = job.cwd};
  command.env.set = job.env;
  return command;
}

}  // namespace

job_command::job_command(const job& job) : what(plain_command(job)), job_(job), error_(find_and_limit()) {}

job_command::~job_command() {
  if (input_ >= 0) ::close(input_);
}

int job_command::spawn(uvreap::reaper& reaper, pid_t* out, const uvreap::watch_options& options,
                       const uvreap::callback& ended) {
  if (error_ != 0) return error_;
  if (int error = make_input(); error != 0) return error;
  int error = reaper.spawn(out, what, options, ended);
  if (error == not_a_program && give_to_sh(what)) error = reaper.spawn(out, what, options, ended);
  return error;
}

// In memory and not through a pipe: nobody has to write while the job reads.
int job_command::make_input() {
  if (!job_.input) return 0;
  input_ = ::memfd_create("uvreap-run-stdin", MFD_CLOEXEC);
  if (input_ < 0) return uv_translate_sys_error(errno);
  for (std::string_view left = *job_.input; !left.empty();) {
    ssize_t written = ::write(input_, left.data(), left.size());
    if (written < 0) return uv_translate_sys_error(errno);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  ::lseek(input_, 0, SEEK_SET);
  what.input = uvreap::stdio::descriptor(input_);
  return 0;
}

// Where spawn(), which looks in our own PATH, is not enough. The limits are set by prlimit(1) on the way.
int job_command::find_and_limit() {
  if (!job_.env.contains("PATH") && job_.limits.empty()) return 0;
  std::string file;
  if (int error = find_program(what, &file); error != 0) return error;
  what.argv.front() = file;
  std::vector<std::string> before = limit_words(job_);
  what.argv.insert(what.argv.begin(), before.begin(), before.end());
  return 0;
}

std::string job_command::why(int error) const {
  std::string file;
  if (!job_.limits.empty() && error == UV_ENOENT && find_program(plain_command(job_), &file) == 0)
    return "prlimit(1), which sets its rlimits: " + std::string(uv_strerror(error));
  return spawn_failure(plain_command(job_), error);
}
