// uvreap init: PID 1 of a container.
#pragma once

int init(int argc, char** argv);  // argv[0] is the verb; the exit status
