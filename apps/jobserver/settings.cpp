#include "settings.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "../shared/backend_option.hpp"
#include "loopback.hpp"
#include "version.hpp"

namespace {

bool is_path(const std::string& address) { return address.starts_with('/'); }

// Of a name it could not be said beforehand whether it is the loopback.
std::string why_no_address(const std::string& text) {
  if (is_path(text)) {
    return text.size() < sizeof sockaddr_un{}.sun_path ? "" : "'" + text + "' is too long for a Unix socket";
  }
  unsigned char bytes[sizeof(in6_addr)];
  bool is_address =
      ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
  return is_address ? "" : "'" + text + "' is no IPv4 or IPv6 address, and no absolute path of a Unix socket";
}

std::string why_no_origin(const std::string& text) {
  auto host = text.starts_with("https://") ? 8U : text.starts_with("http://") ? 7U : text.size();
  bool is_origin = text.size() > host && text.find_first_of("/?#@ ", host) == std::string::npos;
  return is_origin ? "" : "'" + text + "' is no origin, as https://jobs.example";
}

// As of a variable that is not set: it must not mean that no file was asked for.
std::string why_no_file(const std::string& path) { return path.empty() ? "its file has no name" : ""; }

// Whom only this machine's own users can reach.
bool is_local(const std::string& address) { return is_path(address) || is_loopback(address); }

void add_limits(CLI::App& app, settings& all) {
  auto bytes = CLI::AsSizeValue(false).description("");
  app.add_option("--max-jobs", all.max_jobs, "jobs that run at once")->check(CLI::Range(1, 10000));
  app.add_option("--max-queue", all.max_queue, "jobs that wait for those")->check(CLI::Range(0, 100000));
  app.add_option("--max-clients", all.max_clients, "connections at once")->check(CLI::Range(1, 100000));
  app.add_option("--max-body", all.max_body, "bytes of a request's body, as 64K or 1M")
      ->transform(bytes)
      ->check(CLI::Range(1, 64 << 20));
  app.add_option("--keep", all.keep, "jobs that have ended and can still be asked for")
      ->check(CLI::Range(0, 1000000));
  app.add_option("--keep-output", all.keep_output, "bytes kept of each output of a job")
      ->transform(bytes)
      ->check(CLI::Range(0, 16 << 20));
  app.add_option("--keep-memory", all.keep_memory, "bytes of all ended jobs together; the oldest go first")
      ->transform(bytes)
      ->check(CLI::Range(0, 1 << 30));
}

void add_access(CLI::App& app, settings& all) {
  app.add_option("--port", all.port, "0: any; it is printed")->check(CLI::Range(0, 65535));
  app.add_option("--listen", all.listen,
                 "address, or path of a Unix socket; any but a loopback one needs --token-file; repeatable")
      ->check(CLI::Validator(why_no_address, ""));
  app.add_option("--allow", all.allow, "file of the commands that may run, one a line; without it none may")
      ->check(CLI::Validator(why_no_file, ""));
  app.add_flag("--allow-any", all.allow_any, "any command may run");
  app.add_option("--token-file", all.token_file, "file with the token that every request must bear")
      ->check(CLI::Validator(why_no_file, ""));
  app.add_option("--origin", all.origins, "of the page behind a proxy, as https://jobs.example; repeatable")
      ->check(CLI::Validator(why_no_origin, ""));
}

void check_together(const settings& all) {
  if (all.allow_any && !all.allow.empty()) {
    throw CLI::ValidationError("--allow-any", "is not for use with --allow");
  }
  for (const std::string& address : all.listen) {
    if (is_local(address) || !all.token_file.empty()) continue;
    throw CLI::ValidationError("--listen", address + " is no loopback address: that needs --token-file");
  }
}

}  // namespace

std::optional<int> settings::read(int argc, char** argv) {
  CLI::App app("A server that runs a command for each POST /v1/jobs, and tells how it ended.",
               "uvreap-jobserver");
  app.option_defaults()->always_capture_default();
  app.set_version_flag("--version", "uvreap-jobserver " + std::string(version));
  double grace_seconds = 5;
  std::string log = "text";
  add_access(app, *this);
  app.add_option("--state", state, "directory where jobs are kept across restarts")
      ->check(CLI::Validator(why_no_file, ""));
  app.add_option("--log", log, "text or json: a line for each job and refusal, to stderr")
      ->check(CLI::IsMember({"text", "json"}).description(""));
  add_limits(app, *this);
  app.add_option("--grace", grace_seconds, "seconds between SIGTERM and SIGKILL")
      ->check(CLI::Range(0.0, 86400.0));
  add_backend_option(app, backend);
  try {
    app.parse(argc, argv);
    if (std::isnan(grace_seconds)) throw CLI::ValidationError("--grace", "nan is no number");  // in any range
    check_together(*this);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return 2;  // CLI11 has a number above 100 for each error
    if (std::cout.flush()) return 0;     // what --help and --version print
    std::fprintf(stderr, "uvreap-jobserver: cannot write to stdout: %s\n", std::strerror(errno));
    return 1;
  }
  grace = std::chrono::milliseconds(static_cast<std::int64_t>(grace_seconds * 1000));
  logs_json = log == "json";
  return {};
}
