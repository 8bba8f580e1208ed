// A job whose output goes into two files, PATH.out and PATH.err, each made anew.
#pragma once

#include <uv.h>

#include <array>
#include <string>

#include "job_output.hpp"
#include "job_pipes.hpp"

class file_output : public job_output {
 public:
  file_output(uv_loop_t&, read_buffer&, std::string path, listener);
  ~file_output() override;

  [[nodiscard]] int prepare(uvreap::command&) override;
  void begun() override { pipes_.begin(); }
  void finish(std::function<void()> complete, std::function<void()> said) override;
  [[nodiscard]] std::uint64_t bytes_out() const override { return pipes_.bytes_out(); }
  [[nodiscard]] int error() const override { return error_; }

 private:
  void write(stream, std::string_view);

  std::string path_;
  std::array<int, 2> files_{-1, -1};
  int error_ = 0;
  job_pipes pipes_;
};
