// sleep-until SECONDS: ends at that second of CLOCK_REALTIME, so that children that were made one after
// another end evenly.
//
// sleep-until SECONDS COUNT RATE: makes so many of those, of which RATE a second end from then on, and lets
// the kernel reap them: what exits cost the rest of the machine when nobody waits for them.
//
// sleep-until SECONDS COUNT RATE PROGRAM: starts so many of that program from then on, RATE a second, and
// lets the kernel reap them: what starts and exits cost the rest of the machine.
#include <signal.h>
#include <spawn.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace {

void sleep_until(double seconds) {
  timespec until{.tv_sec = static_cast<time_t>(seconds),
                 .tv_nsec = static_cast<long>(std::fmod(seconds, 1) * 1e9)};
  while (::clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

bool make_sleeper(char* program, double end) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", end);
  char* words[] = {program, text, nullptr};
  return ::posix_spawn(nullptr, "/proc/self/exe", nullptr, nullptr, words, nullptr) == 0;
}

bool start_at(double moment, char* program) {
  sleep_until(moment);
  char* words[] = {program, nullptr};
  return ::posix_spawnp(nullptr, program, nullptr, nullptr, words, environ) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4 && argc != 5) return 2;
  double end = std::atof(argv[1]);
  if (argc >= 4) {
    int count = std::atoi(argv[2]);
    double rate = std::atof(argv[3]);
    ::signal(SIGCHLD, SIG_IGN);
    for (int made = 0; made < count; ++made) {
      double moment = end + made / rate;
      if (!(argc == 5 ? start_at(moment, argv[4]) : make_sleeper(argv[0], moment))) return 1;
    }
    end += count / rate + 0.5;
  }
  sleep_until(end);
  return 0;
}
