// What leaves the shared library on purpose; the build hides all other symbols of ours, and uvreap.map those
// of std:: templates. All that the headers declare is in the inline namespace v0. Its number is raised
// together with the soname where the layout of a class or the type of a function changes: what was built with
// headers of before then does not link, and is not wrong in silence.
#pragma once

// Each header includes this one first, so that an older C++ is told this and nothing else.
#if __cplusplus < 202002L
#error "uvreap's C++ headers need -std=c++20. The C header, <uvreap.h>, goes with any C++."
#endif

#define UVREAP_API __attribute__((visibility("default")))
#define UVREAP_LOCAL __attribute__((visibility("hidden")))  // what is nested in an exported class
