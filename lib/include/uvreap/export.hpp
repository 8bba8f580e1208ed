// What leaves the shared library on purpose; the build hides all other symbols of ours, and uvreap.map those
// of std:: templates.
#pragma once

#define UVREAP_API __attribute__((visibility("default")))
#define UVREAP_LOCAL __attribute__((visibility("hidden")))  // what is nested in an exported class
