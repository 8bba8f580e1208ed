// Commands for tests: run to their end on a stage, with what they wrote.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "stage.hpp"
#include "uvreap/process.hpp"

namespace test {

constexpr int untouched = -77;  // what a call is given that must not write it

inline uvreap::command shell(std::string script) { return {.argv = {"sh", "-c", std::move(script)}}; }

// What is there to be read: up to the end of file, or of what a non-blocking descriptor has now.
inline std::string read_all(int descriptor) {
  std::string all;
  std::array<char, 4096> part{};
  for (;;) {
    ssize_t length = ::read(descriptor, part.data(), part.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return all;
    all.append(part.data(), static_cast<std::size_t>(length));
  }
}

// Whether the end of file comes in time, and nothing before it. The loop need not turn for that.
inline bool comes_to_its_end(int descriptor) {
  pollfd waited{descriptor, POLLIN, 0};
  char byte = 0;
  return ::poll(&waited, 1, 20'000) == 1 && ::read(descriptor, &byte, 1) == 0;
}

// Runs it to its end, and returns what it wrote to its output, which must fit into a pipe.
inline std::string output_of(stage& stage, uvreap::command what, int* code = nullptr) {
  int from_child = untouched;
  what.output = uvreap::stdio::pipe(&from_child);
  pid_t pid = 0;
  std::vector<uvreap::child_exit> told;
  REQUIRE(stage.reaper.spawn(&pid, what, [&](const uvreap::child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told.size() == 1);
  CHECK(told[0].pid == pid);
  if (code != nullptr) *code = told[0].status.exit_code();
  std::string text = read_all(from_child);
  ::close(from_child);
  return text;
}

// Whether spawning it fails with this error and nothing is left: no child, no descriptor, nothing written.
inline void check_refused(stage& stage, const uvreap::command& what, int error) {
  int descriptors = open_descriptors();
  auto watched = stage.reaper.stats().watched;
  auto children_before = children();
  pid_t pid = untouched;
  CHECK(stage.reaper.spawn(
            &pid, what, [](const uvreap::child_exit&) { FAIL("told of a child that never was"); }) == error);
  CHECK(uvreap::spawn(&pid, what) == error);
  CHECK(pid == untouched);
  CHECK(open_descriptors() == descriptors);
  CHECK(children() == children_before);
  CHECK(stage.reaper.stats().watched == watched);
}

// A directory of the test's own, gone with it.
class scratch_directory {
 public:
  scratch_directory() {
    std::string name = "/tmp/uvreap-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~scratch_directory() { std::filesystem::remove_all(path_); }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] std::string path() const { return path_.string(); }

  // A file of this text, with this mode; its path.
  [[nodiscard]] std::string make(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    int file = ::open((*this / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    REQUIRE(file >= 0);
    CHECK(::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(file);
    return *this / name;
  }
  [[nodiscard]] std::string contents(const std::string& name) const {
    int file = ::open((*this / name).c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);
    std::string text = read_all(file);
    ::close(file);
    return text;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace test
