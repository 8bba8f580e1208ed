// A program that closes the library with dlclose keeps it: its thread, handles and exit hooks live on.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>

namespace {

// Without the mark a library of g++ stays, too, for the sake of its unique symbols (STB_GNU_UNIQUE), but one
// of clang does not.
bool is_marked_never_to_be_unloaded(void* library) {
  link_map* map = nullptr;
  if (::dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return false;
  for (const ElfW(Dyn)* one = map->l_ld; one->d_tag != DT_NULL; ++one) {
    if (one->d_tag == DT_FLAGS_1) return (one->d_un.d_val & DF_1_NODELETE) != 0;
  }
  return false;
}

}  // namespace

TEST_CASE("the library stays where it is when a program that opened it closes it") {
  const char* path = std::getenv("UVREAP_LIBRARY");
  REQUIRE(path != nullptr);
  CHECK(::dlopen(path, RTLD_NOW | RTLD_NOLOAD) == nullptr);  // this test is not linked with it
  void* opened = ::dlopen(path, RTLD_NOW);
  REQUIRE_MESSAGE(opened != nullptr, ::dlerror());
  CHECK(is_marked_never_to_be_unloaded(opened));
  CHECK(::dlclose(opened) == 0);
  CHECK(::dlopen(path, RTLD_NOW | RTLD_NOLOAD) != nullptr);
}
