#include "program_file.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "visible_text.hpp"

namespace {

std::string path_of(const uvreap::command& what) {
  if (auto own = what.env.set.find("PATH"); own != what.env.set.end()) return own->second;
  const char* ours = what.env.inherit ? std::getenv("PATH") : nullptr;
  return ours != nullptr ? ours : "/bin:/usr/bin";  // as execvp(3) has it
}

// As the child will see it, after it has changed its directory.
std::string seen_from(const std::string& directory, const std::string& file) {
  return directory.empty() || file.starts_with('/') ? file : directory + '/' + file;
}

// 0, or errno.
int check_executable(const std::string& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) return errno;
  if (!S_ISREG(about.st_mode)) return EACCES;
  return ::access(file.c_str(), X_OK) == 0 ? 0 : errno;
}

// 0, or errno.
int check_directory(const std::string& directory) {
  struct stat about {};
  if (::stat(directory.c_str(), &about) != 0) return errno;
  if (!S_ISDIR(about.st_mode)) return ENOTDIR;
  return ::access(directory.c_str(), X_OK) == 0 ? 0 : errno;
}

std::string first_line(const std::string& file) {
  constexpr std::size_t enough = 256;  // the kernel reads no more of a #! line (BINPRM_BUF_SIZE)
  std::ifstream script(file);
  std::string text(enough, '\0');
  script.read(text.data(), enough);
  text.resize(static_cast<std::size_t>(script.gcount()));
  return text.substr(0, text.find('\n'));
}

// Of a script's #! line; empty: it has none.
std::string interpreter_of(const std::string& file) {
  std::string line = first_line(file);
  if (!line.starts_with("#!")) return {};
  std::size_t begin = line.find_first_not_of(" \t", 2);
  if (begin == std::string::npos) return {};
  return line.substr(begin, line.find_first_of(" \t\r", begin) - begin);
}

std::string in_words(const std::string& what, int error) {
  return visible_text(what) + ": " + uv_strerror(error);
}

}  // namespace

int find_program(const uvreap::command& what, std::string* out) {
  const std::string& name = what.argv.front();
  if (name.find('/') != std::string::npos) {
    int error = check_executable(seen_from(what.cwd, name));
    if (error == 0) *out = name;
    return error == 0 ? 0 : uv_translate_sys_error(error);
  }
  bool is_refused = false;
  std::string path = path_of(what);
  for (std::size_t begin = 0; begin <= path.size();) {
    std::size_t end = std::min(path.find(':', begin), path.size());
    std::string directory = path.substr(begin, end - begin);
    std::string file = (directory.empty() ? "." : directory) + '/' + name;  // an empty entry: where it runs
    int error = check_executable(seen_from(what.cwd, file));
    if (error == 0) {
      *out = file;
      return 0;
    }
    is_refused = is_refused || error == EACCES;
    begin = end + 1;
  }
  return is_refused ? UV_EACCES : UV_ENOENT;
}

bool give_to_sh(uvreap::command& what) {
  std::string file;
  if (find_program(what, &file) != 0) return false;
  // As shells do: what has a NUL in its first line is a program for another machine.
  if (first_line(seen_from(what.cwd, file)).find('\0') != std::string::npos) return false;
  what.program.clear();
  what.argv.front() = file;
  what.argv.insert(what.argv.begin(), "/bin/sh");
  return true;
}

std::string spawn_failure(const uvreap::command& what, int error) {
  if (error == not_a_program) return "it is no script, and no program for this machine";
  std::string plain = uv_strerror(error);
  if (error != UV_ENOENT && error != UV_ENOTDIR && error != UV_EACCES) return plain;
  if (int wrong = what.cwd.empty() ? 0 : check_directory(what.cwd); wrong != 0)
    return in_words("its directory " + what.cwd, uv_translate_sys_error(wrong));
  std::string file;
  if (error == UV_EACCES || find_program(what, &file) != 0) return plain;
  std::string interpreter = interpreter_of(seen_from(what.cwd, file));
  return interpreter.empty() ? plain : in_words("its interpreter " + interpreter, error);
}
