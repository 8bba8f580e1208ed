#include "make/stdio.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace uvreap::inline v0 {
namespace {

constexpr int lowest = 3;  // of a descriptor that is none of the standard ones

int copy_above(int number, descriptor& out) noexcept {
  int copy = ::fcntl(number, F_DUPFD_CLOEXEC, lowest);
  if (copy < 0) return errno;
  out.reset(copy);
  return 0;
}

bool survives_exec(int number) noexcept {
  int flags = ::fcntl(number, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

// Where one of our own 0 to 2 is closed, a new descriptor gets its number. Our end must not stay there: a
// message to stderr would go into the pipe, and libuv asserts that it never closes one of these.
int raise(descriptor& held) noexcept { return held.get() >= lowest ? 0 : copy_above(held.get(), held); }

}  // namespace

child_stdio::child_stdio(const command& wanted) noexcept {
  places_[0] = {.wanted = &wanted.input, .number = STDIN_FILENO};
  places_[1] = {.wanted = &wanted.output, .number = STDOUT_FILENO};
  places_[2] = {.wanted = &wanted.error_output, .number = STDERR_FILENO};
}

bool child_stdio::is_sound(const command& wanted) noexcept {
  auto is_merged = [](const stdio& one) { return one.what_ == stdio::kind::same_as_output; };
  auto has_nul = [](const stdio& one) { return one.path_.find('\0') != std::string::npos; };
  if (is_merged(wanted.input) || is_merged(wanted.output)) return false;
  // A reaper has made pipes of the captured ones before they get here.
  if (wanted.input.is_captured() || wanted.output.is_captured() || wanted.error_output.is_captured())
    return false;
  return !has_nul(wanted.input) && !has_nul(wanted.output) && !has_nul(wanted.error_output);
}

int child_stdio::look_at(place& one, moment when) const noexcept {
  const stdio& wanted = *one.wanted;
  if (wanted.what_ == stdio::kind::same_as_output) {
    one.source = STDOUT_FILENO;
    bool output_is_inherited = places_[STDOUT_FILENO].wanted->what_ == stdio::kind::inherit;
    return output_is_inherited && !survives_exec(STDOUT_FILENO) ? EBADF : 0;
  }
  // What is inherited now needs nothing done, and nothing must be: where one of ours was closed at our start,
  // its number is that of a descriptor of our own by now, a loop's epoll set perhaps, and close-on-exec.
  if (wanted.what_ == stdio::kind::inherit) {
    one.is_closed = !survives_exec(one.number);
    if (!one.is_closed && when == moment::later) one.source = one.number;
  }
  if (wanted.what_ != stdio::kind::descriptor) return 0;
  int flags = ::fcntl(wanted.descriptor_, F_GETFD);
  if (flags < 0) return EBADF;
  // Copied to itself it loses its close-on-exec flag, which it would not survive with (glibc 2.29 sees to
  // that).
  bool is_to_be_copied =
      wanted.descriptor_ != one.number || (flags & FD_CLOEXEC) != 0 || when == moment::later;
  if (is_to_be_copied) one.source = wanted.descriptor_;
  return 0;
}

int child_stdio::copy(place& one, moment when) noexcept {
  if (one.source < 0 || one.wanted->what_ == stdio::kind::same_as_output) return 0;
  bool is_in_anothers_place = one.source < lowest && one.source != one.number;
  if (when == moment::now && !is_in_anothers_place) return 0;
  if (int error = copy_above(one.source, one.for_child); error != 0) return error;
  one.source = one.for_child.get();
  return 0;
}

int child_stdio::take_given(moment when) noexcept {
  for (place& one : places_) {
    if (int error = look_at(one, when); error != 0) return error;
  }
  for (place& one : places_) {
    if (int error = copy(one, when); error != 0) return error;
  }
  return 0;
}

int child_stdio::open_pipe(place& one) noexcept {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
  bool child_reads = one.number == STDIN_FILENO;
  one.for_child.reset(ends[child_reads ? 0 : 1]);
  one.ours.reset(ends[child_reads ? 1 : 0]);
  if (int error = raise(one.for_child); error != 0) return error;
  if (int error = raise(one.ours); error != 0) return error;
  // Ours alone: programs are not made for a standard output that answers EAGAIN, so pipe2 is not asked for
  // it.
  if (::fcntl(one.ours.get(), F_SETFL, O_NONBLOCK) != 0) return errno;
  one.source = one.for_child.get();
  return 0;
}

int child_stdio::open_pipes() noexcept {
  for (place& one : places_) {
    if (one.wanted->what_ != stdio::kind::pipe) continue;
    if (int error = open_pipe(one); error != 0) return error;
  }
  return 0;
}

int child_stdio::add_to(posix_spawn_file_actions_t& actions) const noexcept {
  for (const place& one : places_) {  // in this order: error_output copies what output has become
    int error = 0;
    if (one.wanted->what_ == stdio::kind::file) {
      // With close-on-exec the file would be open until the exec, and no longer.
      int flags = one.wanted->flags_ & ~O_CLOEXEC;
      error = ::posix_spawn_file_actions_addopen(&actions, one.number, one.wanted->path_.c_str(), flags,
                                                 one.wanted->mode_);
    } else if (one.source >= 0) {
      error = ::posix_spawn_file_actions_adddup2(&actions, one.source, one.number);
    } else if (one.is_closed) {
      // Closed here, closed there: by now another of ours may have its number.
      error = ::posix_spawn_file_actions_addclose(&actions, one.number);
    }
    if (error != 0) return error;
  }
  return 0;
}

void child_stdio::close_childs() noexcept {
  for (place& one : places_) one.for_child.reset();
}

void child_stdio::close_ours() noexcept {
  for (place& one : places_) one.ours.reset();
}

bool child_stdio::has_ours() const noexcept {
  return std::ranges::any_of(places_, [](const place& one) { return static_cast<bool>(one.ours); });
}

void child_stdio::hand_over() noexcept {
  for (place& one : places_) {
    if (one.ours) *one.wanted->our_end_ = one.ours.release();
  }
}

}  // namespace uvreap::inline v0
