// What becomes of what a job writes: one object for each time that a job is run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <uvreap/command.hpp>

enum class stream { out, err };

class job_output {
 public:
  // Text, of which only a very long line comes in more than one piece; and what went wrong with the output.
  struct listener {
    std::function<void(stream, std::string_view)> wrote;
    std::function<void(const std::string&)> noted;
  };

  virtual ~job_output() = default;

  [[nodiscard]] virtual int prepare(uvreap::command&) = 0;  // before it is spawned. UV_E*
  virtual void begun() {}                                   // the child is there

  // It has ended: complete is called when no more of its output comes, and then said when all is said.
  virtual void finish(std::function<void()> complete, std::function<void()> said) = 0;

  [[nodiscard]] virtual std::uint64_t bytes_out() const { return 0; }  // to standard output
  [[nodiscard]] virtual int error() const { return 0; }                // UV_E*: some of it is lost
};
