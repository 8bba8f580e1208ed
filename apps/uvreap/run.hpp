// uvreap run: many commands at once, and what each cost.
#pragma once

int run(int argc, char** argv);  // argv[0] is the verb; the exit status
