// A program that closes the library with dlclose keeps it: its thread, handles and exit hooks live on.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>

TEST_CASE("the library stays where it is when a program that opened it closes it") {
  const char* path = std::getenv("UVREAP_LIBRARY");
  REQUIRE(path != nullptr);
  CHECK(::dlopen(path, RTLD_NOW | RTLD_NOLOAD) == nullptr);  // this test is not linked with it
  void* opened = ::dlopen(path, RTLD_NOW);
  REQUIRE_MESSAGE(opened != nullptr, ::dlerror());
  CHECK(::dlclose(opened) == 0);
  CHECK(::dlopen(path, RTLD_NOW | RTLD_NOLOAD) != nullptr);
}
