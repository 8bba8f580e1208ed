// uvreap init: process 1 of a container.
#pragma once

#include "personality.hpp"

int init(int argc, char** argv);  // argv[0] says as whom, see personality.hpp; the exit status
