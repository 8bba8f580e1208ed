#include "group_printer.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace {

// O_TMPFILE: no name, so nothing is left behind on any way out. A file system without it: memory, then.
int open_nameless() {
  const char* directory = std::getenv("TMPDIR");
  if (directory == nullptr || *directory == '\0') directory = "/tmp";
  int file = ::open(directory, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 && errno != EMFILE && errno != ENFILE) file = ::memfd_create("uvreap-run", MFD_CLOEXEC);
  return file;
}

}  // namespace

class group_printer::grouped_output : public job_output {
 public:
  grouped_output(group_printer& printer, listener listener)
      : printer_(printer), listener_(std::move(listener)) {}
  ~grouped_output() override {
    printer_.gone(*this);
    for (int file : files_) {
      if (file >= 0) ::close(file);
    }
  }

  int prepare(uvreap::command& command) override {
    for (int& file : files_) {
      file = open_nameless();
      if (file < 0) return uv_translate_sys_error(errno);
    }
    command.output = uvreap::stdio::descriptor(files_[0]);
    command.error_output = uvreap::stdio::descriptor(files_[1]);
    return 0;
  }

  void finish(std::function<void()> done) override {
    done_ = std::move(done);
    printer_.print(*this);
  }

  // A piece of it; false: that was all.
  bool say_some() {
    std::array<char, 65'536> text;
    ssize_t length = ::pread(files_[now_], text.data(), text.size(), at_);
    if (length < 0) listener_.noted(std::string("its output cannot be read: ") + uv_strerror(-errno));
    if (length > 0) {
      std::string_view piece(text.data(), static_cast<std::size_t>(length));
      if (piece.size() == text.size()) piece = piece.substr(0, piece.rfind('\n') + 1);  // whole lines, if any
      if (piece.empty()) piece = {text.data(), text.size()};
      at_ += static_cast<off_t>(piece.size());
      last_ = piece.back();
      listener_.wrote(to_[now_], piece);
      return true;
    }
    if (last_ != '\n')
      listener_.wrote(to_[now_], "\n");  // or the next job would begin in the middle of a line
    at_ = 0;
    last_ = '\n';
    return ++now_ < files_.size();
  }

  std::function<void()> take_done() { return std::move(done_); }

 private:
  static constexpr std::array<stream, 2> to_{stream::out, stream::err};
  group_printer& printer_;
  listener listener_;
  std::function<void()> done_;
  std::array<int, 2> files_{-1, -1};
  std::size_t now_ = 0;
  off_t at_ = 0;
  char last_ = '\n';
};

std::unique_ptr<job_output> group_printer::make(job_output::listener listener) {
  return std::make_unique<grouped_output>(*this, std::move(listener));
}

void group_printer::print(grouped_output& ended) {
  waiting_.push_back(&ended);
  go_on();
}

void group_printer::go_on() {
  if (is_printing_) return;  // done() may begin a job, and that one's end comes back here
  is_printing_ = true;
  while (!waiting_.empty() && !console_.is_behind()) {
    if (waiting_.front()->say_some()) continue;
    auto done = waiting_.front()->take_done();
    waiting_.pop_front();
    done();
  }
  is_printing_ = false;
}

void group_printer::gone(grouped_output& output) { std::erase(waiting_, &output); }
