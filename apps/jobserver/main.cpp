// uvreap-jobserver: runs a command for each POST /v1/jobs, and tells how it ended.
#include "server.hpp"

int main(int argc, char** argv) { return serve(argc, argv, make_reaped_children); }
