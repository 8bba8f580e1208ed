// --backend: which exit backend a program's reaper uses, by name.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <uvreap/reaper.hpp>

inline void add_backend_option(CLI::App& app, uvreap::backend_kind& kind) {
  static const std::map<std::string, uvreap::backend_kind> kinds{
      {"automatic", uvreap::backend_kind::automatic},
      {"ring", uvreap::backend_kind::ring},
      {"pidfd", uvreap::backend_kind::pidfd},
      {"peek", uvreap::backend_kind::peek}};
  app.add_option("--backend", kind, "how the reaper learns who ended")
      ->transform(CLI::CheckedTransformer(kinds, CLI::ignore_case).description(""))
      ->option_text("automatic|ring|pidfd|peek");
}
