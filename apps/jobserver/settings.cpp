#include "settings.hpp"

#include <arpa/inet.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "../shared/backend_option.hpp"

namespace {

// Of a name it could not be said beforehand whether it is the loopback.
std::string why_no_address(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  bool is_address =
      ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
  return is_address ? "" : "'" + text + "' is no IPv4 or IPv6 address";
}

void add_limits(CLI::App& app, settings& all) {
  auto bytes = CLI::AsSizeValue(false).description("");
  app.add_option("--max-jobs", all.max_jobs, "jobs that run at once")->check(CLI::Range(1, 10000));
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

}  // namespace

bool settings::is_loopback() const { return listen == "::1" || listen.starts_with("127."); }

std::optional<int> settings::read(int argc, char** argv) {
  CLI::App app("A server that runs a command for each POST /jobs, and tells how it ended.",
               "uvreap-jobserver");
  app.option_defaults()->always_capture_default();
  double grace_seconds = 5;
  app.add_option("--port", port, "0: any; it is printed")->check(CLI::Range(0, 65535));
  app.add_option("--listen", listen, "address; any but a loopback one needs --token-file")
      ->check(CLI::Validator(why_no_address, ""));
  app.add_option("--allow", allow, "file of the commands that may run, one a line; without it none may");
  app.add_flag("--allow-any", allow_any, "any command may run");
  app.add_option("--token-file", token_file, "file with the token that every request must bear");
  add_limits(app, *this);
  app.add_option("--grace", grace_seconds, "seconds between SIGTERM and SIGKILL")
      ->check(CLI::Range(0.0, 86400.0));
  add_backend_option(app, backend);
  try {
    app.parse(argc, argv);
    if (std::isnan(grace_seconds)) throw CLI::ValidationError("--grace", "nan is no number");  // in any range
    if (allow_any && !allow.empty()) throw CLI::ValidationError("--allow-any", "is not for use with --allow");
    if (!is_loopback() && token_file.empty()) {
      throw CLI::ValidationError("--listen", listen + " is no loopback address: that needs --token-file");
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // CLI11 has a number above 100 for each error
  }
  grace = std::chrono::milliseconds(static_cast<std::int64_t>(grace_seconds * 1000));
  return {};
}
