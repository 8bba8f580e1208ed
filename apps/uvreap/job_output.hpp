// What becomes of what a job writes: one object for each time that a job is run.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <uvreap/command.hpp>

enum class stream { out, err };

class job_output {
 public:
  // Whole lines; and what went wrong with the output itself.
  struct listener {
    std::function<void(stream, std::string_view)> wrote;
    std::function<void(const std::string&)> noted;
  };

  virtual ~job_output() = default;

  [[nodiscard]] virtual int prepare(uvreap::command&) = 0;  // before it is spawned. UV_E*
  virtual void begun() {}                                   // the child is there
  virtual void finish(std::function<void()> done) = 0;      // it has ended: done when all is said
};
