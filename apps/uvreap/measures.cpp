#include "measures.hpp"

#include "../shared/printed.hpp"

std::string text_of(std::chrono::nanoseconds time) {
  double seconds = std::chrono::duration<double>(time).count();
  if (seconds < 0.9995) return print("%.1f ms", seconds * 1000);
  if (seconds < 60) return print("%.2f s", seconds);
  auto whole = static_cast<long>(seconds);
  if (whole < 3600) return print("%ld min %ld s", whole / 60, whole % 60);
  return print("%ld h %ld min", whole / 3600, whole / 60 % 60);
}

std::string size_text(std::int64_t bytes) {
  auto mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? print("%.1f MiB", mebibytes) : print("%.1f GiB", mebibytes / 1024);
}

std::chrono::nanoseconds cpu_of(const uvreap::resource_usage& usage) {
  return usage.user_time + usage.system_time;
}
