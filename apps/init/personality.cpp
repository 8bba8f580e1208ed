#include "personality.hpp"

namespace pid1 {
namespace {

constexpr const char* own_version = "uvreap init " UVREAP_VERSION;

std::string_view last_part(std::string_view program) { return program.substr(program.rfind('/') + 1); }

struct peer {
  std::string_view name;
  dialect speaks;
  const char* version;  // what that program says: dockerd asks docker-init for it, and reads it
  int error;            // for bad usage and its own troubles
  int not_executable;
  int not_found;
};

constexpr peer peers[] = {
    {"tini", dialect::tini, "tini version 0.19.0", 1, 126, 127},
    {"tini-static", dialect::tini, "tini version 0.19.0", 1, 126, 127},
    {"docker-init", dialect::tini, "tini version 0.19.0", 1, 126, 127},
    {"dumb-init", dialect::dumb_init, "dumb-init v1.2.5", 1, 2, 2},
    {"catatonit", dialect::catatonit, "tini version 0.1.7_catatonit", 1, 1, 1},
};

const peer* peer_called(std::string_view program) {
  for (const peer& one : peers) {
    if (one.name == last_part(program)) return &one;
  }
  return nullptr;
}

}  // namespace

personality personality::of(std::string_view program) {
  const peer* called = peer_called(program);
  // As a verb of the program uvreap the first word is "init".
  if (called == nullptr)
    return {.name = program == "init" ? "uvreap init" : "uvreap-init", .version = own_version};
  return {.name = std::string(called->name),
          .speaks = called->speaks,
          .version = std::string(called->version) + " (" + own_version + ")",
          .bad_usage = called->error,
          .own_error = called->error,
          .not_executable = called->not_executable,
          .not_found = called->not_found};
}

bool is_name_of_init(std::string_view program) {
  return last_part(program) == "uvreap-init" || peer_called(program) != nullptr;
}

}  // namespace pid1
