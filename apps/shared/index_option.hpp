// --index: which exit index a program's reaper uses, by name.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <uvreap/reaper.hpp>

inline void add_index_option(CLI::App& app, uvreap::index_kind& kind) {
  static const std::map<std::string, uvreap::index_kind> kinds{{"automatic", uvreap::index_kind::automatic},
                                                               {"ring", uvreap::index_kind::ring},
                                                               {"pidfd", uvreap::index_kind::pidfd},
                                                               {"peek", uvreap::index_kind::peek}};
  app.add_option("--index", kind, "how the reaper learns who ended: automatic, ring, pidfd or peek")
      ->transform(CLI::CheckedTransformer(kinds, CLI::ignore_case).description(""))
      ->option_text("KIND");
}
