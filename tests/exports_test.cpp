// What the shared library exports, as nm(1) lists it: the C face and the functions of the C++ headers,
// nothing else; and the C face lacks nothing that the C++ face can do. (Members of the structs are compared
// by the compiler: lib/src/c/made.cpp.)
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "support/texts.hpp"

namespace {

using test::from_environment;

// Names without parameters, as "uvreap::reaper::start" and "uvreap_start"; the version's own node is none.
std::set<std::string> exported() {
  std::set<std::string> names;
  std::string listed =
      test::output_of_success("nm -D -C --defined-only '" + from_environment("UVREAP_LIBRARY") + "'");
  for (std::size_t from = 0; from < listed.size();) {
    std::size_t to = listed.find('\n', from);
    std::string line = listed.substr(from, to - from);
    from = to + 1;
    auto kind = line.find_first_of("ABCDRTVWiuvw", line.find(' '));
    REQUIRE_MESSAGE(kind != std::string::npos, line);
    if (line[kind] == 'A') continue;
    std::string name = line.substr(kind + 2);
    name = name.substr(0, name.find_first_of("([@"));
    if (const std::string with_abi = "uvreap::v0::"; name.starts_with(with_abi))
      name.replace(0, with_abi.size(), "uvreap::");
    else
      CHECK_MESSAGE(name.starts_with("uvreap_"), name, " bears no number of the ABI");
    names.insert(name);
  }
  return names;
}

const std::string in_struct = "a member of a struct or a macro of <sys/wait.h> says it";
const std::string coroutine = "C has no coroutines";

const std::map<std::string, std::string> in_c = {
    {"uvreap::reaper::reaper", "uvreap_new"},
    {"uvreap::reaper::~reaper", "uvreap_free"},
    {"uvreap::reaper::start", "uvreap_start"},
    {"uvreap::reaper::close", "uvreap_close"},
    {"uvreap::reaper::watch", "uvreap_watch"},
    {"uvreap::reaper::watch_pidfd", "uvreap_watch_pidfd"},
    {"uvreap::reaper::post_watch", "uvreap_post_watch"},
    {"uvreap::reaper::release", "uvreap_release"},
    {"uvreap::reaper::detach", "uvreap_detach"},
    {"uvreap::reaper::exclude", "uvreap_exclude"},
    {"uvreap::reaper::kill", "uvreap_kill"},
    {"uvreap::reaper::terminate", "uvreap_terminate"},
    {"uvreap::reaper::fork", "uvreap_fork"},
    {"uvreap::reaper::spawn", "uvreap_spawn"},
    {"uvreap::reaper::spawn_async", "uvreap_spawn_async"},
    {"uvreap::reaper::cancel_spawn", coroutine},
    {"uvreap::reaper::sigchld_arrived", "uvreap_sigchld_arrived"},
    {"uvreap::reaper::after_fork", "uvreap_after_fork"},
    {"uvreap::reaper::stats", "uvreap_stats"},
    {"uvreap::reaper::exit_of", coroutine},
    {"uvreap::reaper::spawned", coroutine},
    {"uvreap::awaitable::awaitable", coroutine},
    {"uvreap::awaitable::~awaitable", coroutine},
    {"uvreap::awaitable::await_suspend", coroutine},
    {"uvreap::awaitable::await_resume", coroutine},
    {"uvreap::spawn_awaitable::spawn_awaitable", coroutine},
    {"uvreap::spawn_awaitable::~spawn_awaitable", coroutine},
    {"uvreap::spawn_awaitable::await_suspend", coroutine},
    {"uvreap::spawn_awaitable::await_resume", coroutine},
    {"uvreap::fork", "uvreap_process_fork"},
    {"uvreap::spawn", "uvreap_process_spawn"},
    {"uvreap::wait4", "uvreap_process_wait4"},
    {"uvreap::become_subreaper", "uvreap_become_subreaper"},
    {"uvreap::operator<<", "uvreap_exit_text"},
    {"uvreap::wait_status::text", "uvreap_status_text"},
    {"uvreap::wait_status::exited", in_struct},
    {"uvreap::wait_status::exit_code", in_struct},
    {"uvreap::wait_status::signaled", in_struct},
    {"uvreap::wait_status::term_signal", in_struct},
    {"uvreap::wait_status::core_dumped", in_struct},
    {"uvreap::wait_status::stopped", in_struct},
    {"uvreap::wait_status::stop_signal", in_struct},
    {"uvreap::wait_status::continued", in_struct},
    {"uvreap::wait_status::success", in_struct},
    {"uvreap::wait_status::ended", in_struct},
    {"uvreap::resource_usage::from", in_struct},
    {"uvreap::command::capture", in_struct},
    {"uvreap::stdio::null", in_struct},
    {"uvreap::stdio::descriptor", in_struct},
    {"uvreap::stdio::file", in_struct},
    {"uvreap::stdio::pipe", in_struct},
    {"uvreap::stdio::same_as_output", in_struct},
    {"uvreap::stdio::captured", in_struct},
};

// What values are made, copied and destroyed by. Which of these the compiler leaves out of line is up to it
// (gcc 12 and 14 differ), and in C they need no functions.
bool is_of_a_value(const std::string& name) {
  for (const std::string type : {"captured", "child_change", "child_exit", "command", "environment",
                                 "options", "stdio", "watch_options"}) {
    for (const std::string& member : {type, '~' + type, std::string("operator=")}) {
      if (name == "uvreap::" + type + "::" + member) return true;
    }
  }
  return false;
}

// Each overload of operator<< has a call of its own.
const std::set<std::string> texts = {
    "uvreap_status_text", "uvreap_usage_text",  "uvreap_exit_text",    "uvreap_change_text",
    "uvreap_stats_text",  "uvreap_notice_text", "uvreap_backend_text", "uvreap_sigchld_health_text",
};

}  // namespace

TEST_CASE("the library exports the C face and what the C++ headers declare, and nothing else") {
  std::set<std::string> names = exported();
  CHECK(names.contains("uvreap_new"));
  for (const std::string& name : names) {
    CHECK_MESSAGE((name.starts_with("uvreap_") || in_c.contains(name) || is_of_a_value(name)), name,
                  " is exported, and has neither a place in the C face nor a reason to have none");
  }
}

TEST_CASE("what the C++ face can do the C face can do") {
  std::set<std::string> names = exported();
  for (const auto& each : in_c) {
    if (!each.second.starts_with("uvreap_")) continue;
    CHECK_MESSAGE(names.contains(each.first), each.first, " is listed here, and the library has it no more");
    CHECK_MESSAGE(names.contains(each.second), each.second);
  }
  for (const std::string& call : texts) CHECK_MESSAGE(names.contains(call), call);
}

TEST_CASE("what the C header declares is exported, and the other way round") {
  const std::string header = test::contents(from_environment("UVREAP_C_HEADER"));
  REQUIRE(!header.empty());
  std::set<std::string> declared;
  std::size_t ends_at = header.find("#define UVREAP_NONE");
  for (std::size_t at = ends_at; (at = header.find("uvreap_", at)) != std::string::npos;) {
    std::size_t end = header.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", at);
    // A declaration: its type stands before it on the line, and no comment.
    bool is_declared = header[end] == '(' && header.rfind('\n', at) + 1 < at;
    std::string before = header.substr(header.rfind('\n', at) + 1, at - header.rfind('\n', at) - 1);
    if (is_declared && (before == "int " || before == "void " || before == "pid_t "))
      declared.insert(header.substr(at, end - at));
    at = end;
  }
  std::set<std::string> names;
  for (const std::string& name : exported()) {
    if (name.starts_with("uvreap_")) names.insert(name);
  }
  CHECK(declared == names);
}
