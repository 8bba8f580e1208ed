// A command gets no descriptor of ours but its three, whoever else spawns at the same time.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

#include "support/commands.hpp"

using uvreap::command;
using uvreap::stdio;

TEST_CASE("no descriptor above 2 reaches the command, unless it is to keep those that survive an exec") {
  test::stage stage;
  int plain = ::fcntl(0, F_DUPFD, 200);
  int close_on_exec = ::fcntl(0, F_DUPFD_CLOEXEC, 300);
  REQUIRE(plain >= 200);
  REQUIRE(close_on_exec >= 300);
  // 3 is the shell's own, by which it reads the directory.
  command list = test::shell("for each in /proc/self/fd/*; do echo ${each##*/}; done");
  CHECK(test::output_of(stage, list) == "0\n1\n2\n3\n");

  list.keep_descriptors = true;
  std::string kept = "\n" + test::output_of(stage, list);
  CHECK(kept.find("\n" + std::to_string(plain) + "\n") != std::string::npos);
  CHECK(kept.find("\n" + std::to_string(close_on_exec) + "\n") == std::string::npos);
  ::close(plain);
  ::close(close_on_exec);
}

TEST_CASE("threads that spawn at once do not hold each other's pipes open") {
  test::stage stage;
  stage.leaves_children = true;
  constexpr int rounds = 25;
  std::array<int, 4> good{};
  auto spawn_all = [](int& count) {
    for (int i = 0; i < rounds; ++i) {
      int to_child = -1;
      int from_child = -1;
      pid_t pid = 0;
      command cat{.argv = {"cat"}, .input = stdio::pipe(&to_child), .output = stdio::pipe(&from_child)};
      if (uvreap::spawn(&pid, cat) != 0) continue;
      std::string text = std::to_string(pid);
      bool written = ::write(to_child, text.data(), text.size()) == static_cast<ssize_t>(text.size());
      ::close(to_child);  // the end of its input, and so its own, unless somebody holds it open
      auto result = uvreap::wait4(uvreap::scope::one(pid), 0);
      if (written && result.status.success() && test::read_all(from_child) == text) ++count;
      ::close(from_child);
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(good.size());
    for (int& count : good) threads.emplace_back([&] { spawn_all(count); });
  }
  for (int count : good) CHECK(count == rounds);
  CHECK(test::children().empty());
}
