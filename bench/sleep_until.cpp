// sleep-until SECONDS: ends at that second of CLOCK_REALTIME, so that children that were made one after
// another end evenly.
#include <time.h>

#include <cmath>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  double seconds = std::atof(argv[1]);
  timespec until{.tv_sec = static_cast<time_t>(seconds),
                 .tv_nsec = static_cast<long>(std::fmod(seconds, 1) * 1e9)};
  while (::clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
  return 0;
}
