// syscall(2) of the C library, by which the library makes the calls that have no wrapper: each is shown to
// test::on_syscall(), which the test file that includes this defines, and which may answer in the kernel's
// place.
#pragma once

#include <dlfcn.h>

#include <array>
#include <cstdarg>

namespace test {
using syscall_words = std::array<long, 6>;
bool on_syscall(long number, const syscall_words&, long* answer) noexcept;  // true: it was answered
}  // namespace test

extern "C" long syscall(long number, ...) noexcept {
  static auto original = reinterpret_cast<long (*)(long, ...)>(::dlsym(RTLD_NEXT, "syscall"));
  va_list list;
  va_start(list, number);
  test::syscall_words words;
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  if (long answer = 0; test::on_syscall(number, words, &answer)) return answer;
  return original(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
