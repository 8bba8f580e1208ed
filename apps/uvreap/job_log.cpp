#include "job_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <functional>
#include <string_view>
#include <vector>

#include "../shared/printed.hpp"
#include "../shared/visible_text.hpp"

namespace {

constexpr std::string_view header =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
constexpr std::size_t columns = 9;

// On one line, with parallel's NUL for a newline.
std::string command_text(const job& job) {
  std::string text = shell_text(job);
  std::ranges::replace(text, '\n', '\0');
  return text;
}

std::size_t hash_of(std::string_view command) { return std::hash<std::string_view>()(command); }

// What comes before the next tab; the rest stays.
std::string_view cut_column(std::string_view& rest) {
  std::size_t end = std::min(rest.find('\t'), rest.size());
  std::string_view column = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return column;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

struct log_line {
  std::uint64_t number = 0;
  int exit_value = 0;
  int signal = 0;
  std::string_view command;
};

bool read_line(std::string_view text, log_line& line) {
  if (std::ranges::count(text, '\t') < static_cast<std::ptrdiff_t>(columns) - 1) return false;
  std::array<std::string_view, columns - 1> column;
  for (std::string_view& one : column) one = cut_column(text);
  line.command = text;
  return read_number(column[0], line.number) && read_number(column[6], line.exit_value) &&
         read_number(column[7], line.signal);
}

// That a job failed must be seen in its line, whatever its status.
int exit_value_of(const job_end& end) {
  if (end.error != 0) return end.error == UV_ENOENT ? 127 : 126;
  if (end.exit.timed_out || end.exit.lost || end.output_error != 0) return -1;
  return end.exit.status.exited() ? end.exit.status.exit_code() : 0;
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Of standard output and standard error the one that is this file; -1: none is.
int own_descriptor(const struct stat& named) {
  struct stat ours {};
  for (int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    if (::fstat(descriptor, &ours) == 0 && is_same(ours, named)) return descriptor;
  }
  return -1;
}

// Whoever reads a pipe, or a terminal, may let us wait for ever.
bool may_wait_for_a_reader(const struct stat& named, const std::string& path) {
  if (S_ISREG(named.st_mode)) return false;
  if (!S_ISCHR(named.st_mode)) return true;
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  bool is_terminal = file >= 0 && ::isatty(file) == 1;
  if (file >= 0) ::close(file);
  return is_terminal;
}

}  // namespace

job_log::~job_log() {
  if (file_ >= 0) ::close(file_);
}

std::string job_log::open(const run_settings& settings) {
  bool resumes = settings.resume || settings.resume_failed;
  path_ = visible_text(settings.job_log);
  struct stat named {};
  bool is_there = ::stat(settings.job_log.c_str(), &named) == 0;
  if (is_there && may_wait_for_a_reader(named, settings.job_log))
    return path_ + " is no file, and a job log must be one";
  // Our own output (/dev/stdout) has one place to go on at, and what is there is not cut off.
  int ours = is_there && S_ISREG(named.st_mode) ? own_descriptor(named) : -1;
  if (ours >= 0 && resumes) return path_ + " is our own output, and no log to be resumed";
  int flags = (resumes ? O_RDWR : O_WRONLY | O_TRUNC) | O_CREAT | O_APPEND | O_CLOEXEC;
  file_ = ours >= 0 ? ::fcntl(ours, F_DUPFD_CLOEXEC, 3) : ::open(settings.job_log.c_str(), flags, 0666);
  if (file_ < 0) return cannot_write(uv_translate_sys_error(errno));
  if (resumes) {
    if (std::string wrong = read(settings.resume_failed); !wrong.empty()) return path_ + wrong;
    if (::lseek(file_, 0, SEEK_END) > 0) return {};
  }
  unwritten_ = header;
  return write_out();
}

// A piece at a time: it may have a line for each of millions of jobs.
std::string job_log::read(bool failed_are_run) {
  std::string rest;
  off_t whole_lines = 0;
  std::uint64_t line_number = 0;
  std::array<char, 65'536> piece;
  for (;;) {
    ssize_t length = ::read(file_, piece.data(), piece.size());
    if (length < 0) return std::string(" cannot be read: ") + uv_strerror(uv_translate_sys_error(errno));
    if (length == 0) break;
    rest.append(piece.data(), static_cast<std::size_t>(length));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string_view text = std::string_view(rest).substr(begin, end - begin);
      log_line line;
      if (++line_number == 1) {
        if (text != header.substr(0, header.size() - 1)) return ":1: this is no log of jobs";
      } else if (!read_line(text, line)) {
        return ':' + std::to_string(line_number) + ": this is no line of a log of jobs";
      } else if (failed_are_run && (line.exit_value != 0 || line.signal != 0)) {
        done_.erase(line.number);
      } else {
        done_[line.number] = hash_of(line.command);
      }
    }
    whole_lines += static_cast<off_t>(begin);
    rest.erase(0, begin);
  }
  // A line that was being written when its run was killed.
  if (rest.empty()) return {};
  if (whole_lines == 0 && !header.starts_with(rest)) return ":1: this is no log of jobs";
  return ::ftruncate(file_, whole_lines) == 0 ? "" : " ends with half a line";
}

job_log::entry job_log::look_up(const job& job) const {
  auto known = done_.find(job.number);
  if (known == done_.end()) return entry::none;
  return known->second == hash_of(command_text(job)) ? entry::done : entry::another;
}

void job_log::add(const job& job, const job_end& end) {
  if (file_ < 0 || (end.cut_off && end.failed())) return;  // --resume shall run it again
  double began = std::chrono::duration<double>(end.began.time_since_epoch()).count();
  int signum = end.error == 0 && end.exit.status.signaled() ? end.exit.status.term_signal() : 0;
  unwritten_ += print("%llu\t:\t%.3f\t%10.3f\t0\t%llu\t%d\t%d\t", static_cast<unsigned long long>(job.number),
                      began, std::chrono::duration<double>(end.wall).count(),
                      static_cast<unsigned long long>(end.bytes_out), exit_value_of(end), signum) +
                command_text(job) + '\n';
}

std::string job_log::write_out() {
  std::string_view text = unwritten_;
  int error = 0;
  while (!text.empty() && error == 0) {
    ssize_t length = ::write(file_, text.data(), text.size());
    if (length < 0 && errno != EINTR) error = uv_translate_sys_error(errno);
    if (length > 0) text.remove_prefix(static_cast<std::size_t>(length));
  }
  unwritten_.clear();
  return error == 0 ? "" : cannot_write(error);
}

std::string job_log::cannot_write(int error) const {
  return "cannot write " + path_ + ": " + uv_strerror(error);
}
