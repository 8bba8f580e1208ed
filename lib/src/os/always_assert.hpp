// assert() that stays on in every build type: misuse of the interface ends the program with the line that was
// misused, in release builds too. Include this last among the headers, and <cassert> nowhere.
#undef NDEBUG
#include <cassert>  // no include guard here: <cassert> is made to be included again
