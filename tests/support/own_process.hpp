// A test body in a process of its own, where it may become a subreaper, be PID 1 or lose its /proc, and where
// whatever it leaves behind ends with it.
//
//     test::apart(test::place::pid_1, [] {
//       test::stage stage(options);
//       ...CHECK and REQUIRE as ever
//     });
//
// A check that fails in there fails the test here too.
#pragma once

#include <functional>

namespace test {

enum class place {
  plain,               // a forked process
  subreaper,           // one that adopts its orphaned descendants
  pid_1,               // the init of a new pid namespace, with a /proc that shows it
  pid_1_foreign_proc,  // the same, under the /proc of the namespace outside
};

// False: this machine does not give namespaces; the reason is printed, and nothing ran.
bool apart(place, const std::function<void()>& body);

const char* name_of(place);

// Takes /proc away from this process, in the places of pid_1 alone, which have mounts of their own; and gives
// it one again, as the checks of a stage need it.
void lose_proc();
void find_proc_again();

}  // namespace test
