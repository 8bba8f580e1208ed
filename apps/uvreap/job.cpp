#include "job.hpp"

#include "../shared/visible_text.hpp"

namespace {

constexpr std::size_t longest_name = 60;

std::string cut(const std::string& name) {
  if (name.size() <= longest_name) return name;
  return std::string(first_bytes(name, longest_name - 3)) + "...";
}

}  // namespace

std::string name_of(const std::vector<std::string>& argv) {
  std::string name;
  for (const std::string& word : argv) {
    if (!name.empty()) name += ' ';
    name += word;
    if (name.size() > longest_name) break;
  }
  return cut(name);
}

job job_of(std::vector<std::string> argv) {
  std::string name = name_of(argv);
  return {.name = std::move(name), .argv = std::move(argv)};
}

job shell_job_of(const std::string& text) { return {.name = cut(text), .argv = {"/bin/sh", "-c", text}}; }
