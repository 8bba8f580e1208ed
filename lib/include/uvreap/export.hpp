// What leaves the shared library on purpose; the build hides all other symbols of ours. Instantiations of
// std:: templates, and what is nested in an exported class, leave it as well.
#pragma once

#define UVREAP_API __attribute__((visibility("default")))
