#include "logger.hpp"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <utility>

#include "../shared/printed.hpp"

namespace {

constexpr std::size_t most_waiting = 4096;  // lines
constexpr std::size_t longest_text = 300;   // of a stranger, in bytes, so that a line is below PIPE_BUF

std::string now() {
  auto time = std::chrono::system_clock::now();
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[sizeof "2026-01-01T00:00:00"];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return text + print(".%03dZ", static_cast<int>(ms % 1000));
}

// A stranger's text must not begin a line, or speak to the terminal.
std::string on_a_line(std::string_view text) {
  std::string line;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    line += byte < ' ' || byte == 0x7f ? print("\\x%02x", byte) : std::string(1, c);
  }
  return line;
}

std::string command_of(const job& job) {
  std::string command;
  for (const std::string& word : job.asked.argv) {
    command += (command.empty() ? "" : " ") + word;
    if (command.size() > longest_text) return command.substr(0, longest_text) + "...";
  }
  return command;
}

}  // namespace

void logger::job_ended(const job& job) {
  std::string command = command_of(job);
  std::string status = job.status().substr(0, longest_text);
  auto all = [&] {
    return fields{{"job", job.id},
                  {"client", job.client},
                  {"command", command},
                  {"status", status},
                  {"wall_ms", job.wall_ms()}};
  };
  write(all, "job " + job.id + " of " + job.client + ": " + command + ": " + status +
                 print(" after %.1f ms", job.wall_ms()));
}

void logger::refused(const http_request& request, const http_answer& answer) {
  std::string what = request.method_name.substr(0, 20) + " " + request.target.substr(0, longest_text);
  std::string why = answer.detail.substr(0, longest_text);
  auto all = [&] {
    return fields{{"refused", answer.status}, {"client", request.client}, {"request", what}, {"why", why}};
  };
  write(all, "refused " + request.client + ": " + what + ": " + std::to_string(answer.status) + " " + why);
}

void logger::note(const std::string& text) {
  write([&] { return fields{{"note", text}}; }, text);
}

void logger::write(const std::function<fields()>& all, const std::string& text) {
  if (!as_json_) return put(now() + " " + on_a_line(text) + "\n");
  fields line{{"time", now()}};
  line.update(all());
  put(text_of(line));
}

void logger::put(std::string line) {
  if (waiting_.size() >= most_waiting) {
    ++dropped_;
    ++all_dropped_;
    return;
  }
  waiting_.push_back(std::move(line));
  flush();
}

bool logger::flush() {
  pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  while (!waiting_.empty() && ::poll(&ready, 1, 0) == 1) {
    const std::string& line = waiting_.front();
    (void)!::write(STDERR_FILENO, line.data(), line.size());  // nobody is left to be told of an error
    waiting_.pop_front();
  }
  if (waiting_.empty() && dropped_ > 0) {
    auto count = std::exchange(dropped_, 0);
    note(std::to_string(count) + " lines of this log were dropped: nobody read it");
  }
  return waiting_.empty();
}
