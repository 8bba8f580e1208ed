// A program and everything that comes of it, run from outside: what it says goes to memory, so nobody waits
// for a reader, and whatever it leaves behind comes to us, is counted, and ends with the test.
//
//     test::supervised run({"tini", "--", "sh", "-c", "exit 3"});
//     CHECK(run.end() == 3);
//     CHECK(run.left() == 0);
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace test {

using words = std::vector<std::string>;
words operator+(words, const words&);

enum class stream { memory, closed, full_disk, broken_pipe, stuck_pipe };

struct setting {
  std::string input{};
  bool on_terminal = false;  // its session's own; input, output and errors are that
  stream output = stream::memory;
  stream errors = stream::memory;
};

class supervised {
 public:
  explicit supervised(const words&, const setting& = {});
  ~supervised();
  supervised(const supervised&) = delete;
  supervised& operator=(const supervised&) = delete;

  void send(int signum) const;
  void type(const std::string&) const;  // on its terminal

  // Waits until it has said that. False: not in this time.
  bool says(const std::string&, std::chrono::milliseconds patience = std::chrono::seconds(30));

  // The exit status; above 1000: the signal that killed it; -1: it did not end in this time, and was killed.
  int end(std::chrono::milliseconds patience = std::chrono::seconds(60));
  int left();  // processes that outlive it; they are killed

  std::string output();
  std::string errors();

 private:
  [[noreturn]] void become(const words&, const setting&, int input) const;
  void read_terminal();

  pid_t pid_ = 0;
  int terminal_ = -1;
  int output_ = -1;
  int errors_ = -1;
  bool has_ended_ = false;
  std::string typed_;  // what came over the terminal
};

}  // namespace test
