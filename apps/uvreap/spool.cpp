#include "spool.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace {

constexpr std::size_t most_in_memory = 32 << 10;

// Where the file system has no O_TMPFILE, memory that can be swapped out.
int open_nameless() {
  const char* directory = std::getenv("TMPDIR");
  if (directory == nullptr || *directory == '\0') directory = "/tmp";
  int file = ::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  bool is_full = file < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOSPC || errno == EDQUOT);
  return file >= 0 || is_full ? file : ::memfd_create("uvreap-run", MFD_CLOEXEC);
}

}  // namespace

spool::~spool() {
  if (file_ >= 0) ::close(file_);
}

int spool::append(std::string_view text) {
  memory_ += text;
  return memory_.size() <= most_in_memory ? 0 : write_memory();
}

int spool::write_memory() {
  if (file_ < 0) file_ = open_nameless();
  if (file_ < 0) return uv_translate_sys_error(errno);
  std::size_t done = 0;
  int error = 0;
  while (done < memory_.size() && error == 0) {
    ssize_t length = ::pwrite(file_, memory_.data() + done, memory_.size() - done, in_file_);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) error = length < 0 ? uv_translate_sys_error(errno) : UV_ENOSPC;
    if (length <= 0) break;
    done += static_cast<std::size_t>(length);
    in_file_ += length;
  }
  memory_.erase(0, done);
  return error;
}

std::string_view spool::peek(buffer& space, int* error) {
  *error = 0;
  std::size_t have = 0;
  while (taken_ + static_cast<off_t>(have) < in_file_ && have < space.size()) {
    off_t at = taken_ + static_cast<off_t>(have);
    std::size_t wanted = std::min(space.size() - have, static_cast<std::size_t>(in_file_ - at));
    ssize_t length = ::pread(file_, space.data() + have, wanted, at);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) {
      *error = length < 0 ? uv_translate_sys_error(errno) : UV_EIO;
      taken_ = in_file_;
      have = 0;
      break;
    }
    have += static_cast<std::size_t>(length);
  }
  // The text goes on in memory, and a character may lie across.
  off_t at = taken_ + static_cast<off_t>(have) - in_file_;
  if (at >= 0) have += memory_.copy(space.data() + have, space.size() - have, static_cast<std::size_t>(at));
  return {space.data(), have};
}
