// lib/src/os/syscalls.cpp once more under another namespace, so that a fake can let calls through to exactly
// what the library would do. Every header it needs comes first: none of them may see the macro.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define sys real_sys
#include "os/syscalls.cpp"  // NOLINT(bugprone-suspicious-include)
