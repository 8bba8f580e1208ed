#include "job_table.hpp"

#include <algorithm>
#include <tuple>

#include "../shared/printed.hpp"
#include "../shared/visible_text.hpp"
#include "measures.hpp"

void job_table::add(const job& job, const job_end& end) {
  kept_.push_back({job.number, job.name, end.text(), end.failed(), end.wall, cpu_of(end.exit.usage),
                   end.exit.usage.max_rss_bytes});
  if (kept_.size() >= 2 * rows_ + 64) keep_the_first();
}

// Names and numbers upwards; of what was used, the most first; and the failed before the others.
bool job_table::comes_first(const row& a, const row& b) const {
  switch (key_) {
    case sort_key::number:
      return a.number < b.number;
    case sort_key::name:
      return std::tie(a.name, a.number) < std::tie(b.name, b.number);
    case sort_key::wall:
      return std::tie(b.wall, a.number) < std::tie(a.wall, b.number);
    case sort_key::cpu:
      return std::tie(b.cpu, a.number) < std::tie(a.cpu, b.number);
    case sort_key::rss:
      return std::tie(b.rss, a.number) < std::tie(a.rss, b.number);
    case sort_key::status:
      return std::tie(b.failed, a.status, a.number) < std::tie(a.failed, b.status, b.number);
  }
  return false;
}

void job_table::keep_the_first() {
  std::sort(kept_.begin(), kept_.end(), [this](const row& a, const row& b) { return comes_first(a, b); });
  if (kept_.size() <= rows_) return;
  dropped_ += kept_.size() - rows_;
  kept_.resize(rows_);
}

std::string job_table::text() {
  keep_the_first();
  std::string table =
      print("%6s  %10s  %10s  %10s  %-24s  %s\n", "job", "wall", "CPU", "max RSS", "status", "name");
  for (const row& one : kept_) {
    table += print("%6llu  %10s  %10s  %10s  %-24s  ", static_cast<unsigned long long>(one.number),
                   text_of(one.wall).c_str(), text_of(one.cpu).c_str(), size_text(one.rss).c_str(),
                   one.status.c_str()) +
             visible_text(one.name) + '\n';
  }
  if (dropped_ != 0) table += print("%6s  and %llu more\n", "", static_cast<unsigned long long>(dropped_));
  return table;
}
