// Which file a command's program is, as execvp(3) and env(1) find it.
#pragma once

#include <cerrno>
#include <string>
#include <uvreap/command.hpp>

// What spawn() answers for a file that is no program; libuv has neither name nor words for it.
constexpr int not_a_program = -ENOEXEC;

// Looked for in the PATH that the child will have. UV_ENOENT or UV_EACCES, and then *out is untouched.
[[nodiscard]] int find_program(const uvreap::command&, std::string* out);

// A script without #!: sh is to run it, as execvp(3) and shells have it. False: it is no script, or not
// there.
[[nodiscard]] bool give_to_sh(uvreap::command&);

// Why spawn() failed: it has one error for the program, its interpreter and its directory.
[[nodiscard]] std::string spawn_failure(const uvreap::command&, int error);
