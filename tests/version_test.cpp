// The version is the same wherever it is said.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "support/texts.hpp"

namespace {

using test::contents;
using test::from_environment;

std::string version() { return from_environment("UVREAP_VERSION"); }

std::string source(const std::string& path) {
  return contents(from_environment("UVREAP_SOURCE") + '/' + path);
}

}  // namespace

TEST_CASE("the program says the project's version") {
  CHECK(test::output_of_success(from_environment("UVREAP_PROGRAM") + " --version") ==
        "uvreap " + version() + '\n');
}

TEST_CASE("the changelog begins with it") {
  CHECK(source("CHANGELOG.md").starts_with("# Changelog\n\n## " + version() + ' '));
}

TEST_CASE("the Debian package's version is this one, with a revision") {
  if (!std::filesystem::exists(from_environment("UVREAP_SOURCE") + "/debian")) {
    MESSAGE("SKIP: these are the sources of a release, which come without debian/");
    return;
  }
  CHECK(source("debian/changelog").starts_with("uvreap (" + version() + '-'));
}

TEST_CASE("the CMake project outside asks for this series") {
  std::string series = version().substr(0, version().rfind('.'));
  std::string project = source("tests/ways_to_link/cmake_c/CMakeLists.txt");
  CHECK(project.find("find_package(uvreap " + series + ' ') != std::string::npos);
}
