#include "machine.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <sstream>

#include "build_facts.hpp"

namespace bench {
namespace {

std::string first_line(const std::string& path, const std::string& beginning = "") {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(beginning)) return line;
  }
  return {};
}

std::string after_colon(const std::string& line) {
  auto colon = line.find(": ");
  return colon == std::string::npos ? line : line.substr(colon + 2);
}

std::string time_now() {
  std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

std::string memory_now() {
  auto gib = [](const std::string& line) {
    std::istringstream words(line);
    std::string name;
    double kib = 0;
    words >> name >> kib;
    std::ostringstream text;
    text.precision(3);
    text << kib / 1024 / 1024;
    return text.str();
  };
  return gib(first_line("/proc/meminfo", "MemTotal:")) + " GiB, " +
         gib(first_line("/proc/meminfo", "MemAvailable:")) + " available";
}

}  // namespace

records head(const std::string& command_line) {
  utsname about{};
  ::uname(&about);
  std::string processor = after_colon(first_line("/proc/cpuinfo", "model name"));
  std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  records all;
  auto add = [&](const char* what, const std::string& value) {
    all.push_back({.scenario = "head", .metric = what, .unit = "text", .value = value});
  };
  add("time", time_now());
  add("command", command_line);
  add("machine", (processor.empty() ? about.machine : processor) + ", " +
                     std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) + " processors" +
                     (governor.empty() ? "" : ", governor " + governor));
  add("memory", memory_now());
  add("kernel", std::string(about.sysname) + " " + about.release + " " + about.machine);
  add("load", first_line("/proc/loadavg"));
  add("build", UVREAP_BUILD);
  return all;
}

}  // namespace bench
