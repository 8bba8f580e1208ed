#include "init.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <uvreap/process.hpp>

#include "init_settings.hpp"
#include "init_signals.hpp"
#include "init_supervisor.hpp"

namespace {

int complain(int error, const std::string& what) {
  std::fprintf(stderr, "uvreap init: cannot %s: %s\n", what.c_str(), uv_strerror(error));
  return pid1::own_error;
}

// A standard descriptor that is closed must not become one of the loop's own. The place is closed again in
// the child, which gets what we got; what we write there ourselves is an error.
bool fill_standard_descriptors() {
  for (;;) {
    int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    if (descriptor <= STDERR_FILENO) continue;
    ::close(descriptor);
    return true;
  }
}

// Before there is a child: what cannot be written then is better said now. -1: an error.
int open_stats(const std::string& path) {
  if (path == "-") return ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

}  // namespace

int init(int argc, char** argv) {
  pid1::inherited_signals signals;  // before all else, so that none is lost
  pid1::settings settings;
  if (auto exit_status = settings.read(argc, argv)) return *exit_status;
  if (!fill_standard_descriptors()) return complain(uv_translate_sys_error(errno), "open /dev/null");
  int stats = settings.stats.empty() ? -1 : open_stats(settings.stats);
  if (!settings.stats.empty() && stats < 0) {
    return complain(uv_translate_sys_error(errno), "open " + settings.stats);
  }
  if (settings.is_subreaper) {
    if (int error = uvreap::become_subreaper(); error != 0) return complain(error, "become a subreaper");
  }

  uv_loop_t loop;
  if (int error = uv_loop_init(&loop); error != 0) return complain(error, "make a loop");
  int exit_status = pid1::supervisor(loop, settings, signals, stats).run();
  uv_run(&loop, UV_RUN_NOWAIT);  // libuv lets go of the reaper's handles
  uv_loop_close(&loop);
  if (stats >= 0) ::close(stats);
  return exit_status;
}
