// The whole server: its parts on one loop, from the first request to the last child.
#pragma once

#include "children.hpp"

int serve(int argc, char** argv, children_maker);  // the exit status
