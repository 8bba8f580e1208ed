// The demo, run from outside: in a process group of its own, which its children share, so that they can be
// counted, and killed if it failed to end them.
//
//     test::demo_program demo({"--json"});
//     demo.send(SIGINT);
//     CHECK(demo.end() == 130);
//     CHECK(demo.processes() == 0);
//
// Which program that is, UVREAP_DEMO says.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace test {

// What it has as its stdout. small_pipe: it holds a page; non_blocking: the same, with O_NONBLOCK.
// whole_terminal: its stderr is that terminal, too.
enum class where { pipe, small_pipe, non_blocking, closed, full_disk, terminal, whole_terminal };

constexpr int signal_base = 1000;  // and the signal: what end() says of a program that was killed

[[nodiscard]] bool no_terminals();  // says that it is a SKIP

class demo_program {
 public:
  explicit demo_program(const std::vector<std::string>& arguments, where out = where::pipe,
                        bool blocks_sigterm = false);
  ~demo_program();
  demo_program(const demo_program&) = delete;
  demo_program& operator=(const demo_program&) = delete;

  void send(int signum) const;
  void press(char key) const;  // on its terminal
  void resize(unsigned short columns) const;
  void close_output();  // its reader goes away

  // Reads on until the text has come so often; false: the output ended before.
  bool read_until(const std::string& text, int times = 1);

  // Reads all that is left, and waits. The exit status; above signal_base: the signal that killed it.
  int end();

  [[nodiscard]] long most_resident_kib() const { return most_resident_kib_; }  // known after end()

  std::string output;                                      // what was read
  std::string errors;                                      // its stderr, known after end()
  [[nodiscard]] int count(const std::string& text) const;  // in the output
  [[nodiscard]] std::vector<nlohmann::json> events(
      const std::string& kind) const;  // each line must be an object

  // From /proc: its group, itself and zombies among them.
  [[nodiscard]] int processes() const;
  [[nodiscard]] bool has_processes(int count) const;  // waits for it; false: that took too long
  [[nodiscard]] bool is_zombie() const;

 private:
  bool read_some(int descriptor, std::string& into);

  pid_t pid_ = 0;
  int out_ = -1;
  int error_ = -1;
  bool has_ended_ = false;
  long most_resident_kib_ = 0;
  std::chrono::steady_clock::time_point deadline_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(100);
};

}  // namespace test
