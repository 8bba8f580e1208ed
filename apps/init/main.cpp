// uvreap-init: init as a program of its own, that a container can hold without anything else.
#include "init.hpp"

int main(int argc, char** argv) { return init(argc, argv); }
