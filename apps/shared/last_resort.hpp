// What ends the jobs when this program is ended by a fault of its own (SIGSEGV and its like), or by one of
// those signals from outside. There is no loop then to give them a grace: their groups are killed, from the
// signal handler, and the signal then ends the program as it would have.
//
// The groups are kept by number, in memory that a handler may read. A number is taken out when the exit is
// delivered, which is a turn of the loop after the kernel has let go of it.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace last_resort {

void start(std::size_t most_jobs);  // once

void add(pid_t group);  // what is above most_jobs is not kept
void remove(pid_t group);

// Between these a job is being made, whose number is not known yet: a signal from outside waits for that.
void starting();
void started();

}  // namespace last_resort
