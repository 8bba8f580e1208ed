// What leaves the shared library, and nothing else does: the build hides symbols by default.
#pragma once

#define UVREAP_API __attribute__((visibility("default")))
