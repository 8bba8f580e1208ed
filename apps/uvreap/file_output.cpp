#include "file_output.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

file_output::file_output(uv_loop_t& loop, read_buffer& buffer, std::string path, listener listener)
    : path_(std::move(path)),
      pipes_(loop, buffer,
             {.wrote = [this](stream which, std::string_view text) { write(which, text); },
              .noted = std::move(listener.noted)}) {}

file_output::~file_output() {
  for (int file : files_) {
    if (file >= 0) ::close(file);
  }
}

int file_output::prepare(uvreap::command& command) {
  const char* const endings[] = {".out", ".err"};
  for (std::size_t i = 0; i < files_.size(); ++i) {
    files_[i] = ::open((path_ + endings[i]).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (files_[i] < 0) return uv_translate_sys_error(errno);
  }
  pipes_.prepare(command);
  return 0;
}

void file_output::write(stream which, std::string_view text) {
  int file = files_[which == stream::out ? 0 : 1];
  while (!text.empty() && error_ == 0) {
    ssize_t length = ::write(file, text.data(), text.size());
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) error_ = uv_translate_sys_error(errno);
    if (length > 0) text.remove_prefix(static_cast<std::size_t>(length));
  }
}

void file_output::finish(std::function<void()> complete, std::function<void()> said) {
  pipes_.finish([complete = std::move(complete), said = std::move(said)] {
    complete();
    said();
  });
}
