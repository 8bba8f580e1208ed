#include "picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <utility>
#include <vector>

namespace bench {
namespace {

struct look {
  const char* engine;
  const char* name;
  const char* colour;  // at least 3.4 : 1 against white and against #0d1117
  double width;
};

constexpr look looks[] = {
    {"uvreap-automatic", "uvreap", "#e8590c", 4},
    {"uvreap-automatic-when-needed", "uvreap, SIGCHLD when needed", "#1f7ae0", 4},
    {"floor", "a thread blocked in wait4", "#7d8590", 1.5},
    {"sd_event", "sd-event", "#0c93a8", 1.5},
    {"libev", "libev", "#c2478e", 1.5},
    {"glib", "GLib", "#2f9e6b", 1.5},
    {"uv_spawn", "uv_spawn", "#9a5fd0", 1.5},
};
constexpr const char* grey = "#7d8590";

constexpr double width = 930;
constexpr double height = 470;
constexpr double left = 66;
constexpr double right = 590;  // the labels stand beyond it
constexpr double top = 62;
constexpr double bottom = 410;
constexpr double label_gap = 17;

struct curve {
  look how;
  std::vector<std::pair<int, double>> points;  // live children, us
  double label_y = 0;
};

std::vector<curve> curves_of(const records& all) {
  std::vector<curve> curves;
  for (const look& how : looks) {
    curve one{how, {}};
    for (int live : lives_in(all, "latency")) {
      auto values = spread_of(rounds_of(all, {"latency", live, how.engine, "p50"}));
      if (values.rounds != 0 && values.middle > 0) one.points.emplace_back(live, values.middle);
    }
    if (!one.points.empty()) curves.push_back(std::move(one));
  }
  return curves;
}

// Both axes are logarithmic. 0 live, which has no place there, stands where 1 would.
class axes {
 public:
  explicit axes(const std::vector<curve>& curves) {
    for (const curve& one : curves) {
      for (auto [live, us] : one.points) {
        lives_.push_back(live);
        low_ = std::min(low_, us);
        high_ = std::max(high_, us);
      }
    }
    std::sort(lives_.begin(), lives_.end());
    lives_.erase(std::unique(lives_.begin(), lives_.end()), lives_.end());
    low_ *= 0.8;
    high_ *= 1.2;
  }

  [[nodiscard]] double x(int live) const {
    double most = std::max(1.0, decades(lives_.back()));
    return left + (right - left) * decades(live) / most;
  }
  [[nodiscard]] double y(double us) const {
    return bottom - (bottom - top) * std::log(us / low_) / std::log(high_ / low_);
  }
  [[nodiscard]] const std::vector<int>& lives() const { return lives_; }
  [[nodiscard]] std::vector<double> marks() const {  // 10, 20, 50, 100 ...
    std::vector<double> all;
    auto first = static_cast<int>(std::floor(std::log10(low_)));
    auto last = static_cast<int>(std::floor(std::log10(high_)));
    for (int power = first; power <= last; ++power) {
      for (double step : {1.0, 2.0, 5.0}) {
        double mark = step * std::pow(10, power);
        if (mark >= low_ && mark <= high_) all.push_back(mark);
      }
    }
    return all;
  }

 private:
  static double decades(int live) { return std::log10(std::max(1, live)); }

  std::vector<int> lives_;
  double low_ = 1e12;
  double high_ = 0;
};

// Each label beside its line's end, or as near as the others let it.
void place_labels(std::vector<curve>& curves, const axes& scale) {
  for (curve& one : curves) one.label_y = scale.y(one.points.back().second);
  std::sort(curves.begin(), curves.end(),
            [](const curve& a, const curve& b) { return a.label_y < b.label_y; });
  for (int times = 0; times < 200; ++times) {
    for (std::size_t at = 1; at < curves.size(); ++at) {
      double missing = label_gap - (curves[at].label_y - curves[at - 1].label_y);
      if (missing <= 0) continue;
      curves[at - 1].label_y -= missing / 2;
      curves[at].label_y += missing / 2;
    }
  }
}

std::string time_text(double us) {
  char text[40];
  if (us < 1000) {
    std::snprintf(text, sizeof(text), "%.0f µs", us);
  } else {
    std::snprintf(text, sizeof(text), "%.3g ms", us / 1000);
  }
  return text;
}

std::string count_text(int count) {
  std::string digits = std::to_string(count);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), " ");
  }
  return digits;
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (char one : text) safe += one == '<' ? "&lt;" : one == '&' ? "&amp;" : std::string(1, one);
  return safe;
}

std::string machine_of(const records& all) {
  std::string text;
  for (const record& one : all) {
    if (one.scenario == "head" && (one.metric == "machine" || one.metric == "kernel")) {
      text += (text.empty() ? "" : ", ") + one.value.get<std::string>();
    }
  }
  return text;
}

void write(std::ostream& svg, double x, double y, const char* more, const std::string& text) {
  svg << "<text x='" << x << "' y='" << y << "' " << more << ">" << escaped(text) << "</text>\n";
}

void draw_axes(std::ostream& svg, const axes& scale) {
  for (double us : scale.marks()) {
    svg << "<path d='M" << left << ' ' << scale.y(us) << 'H' << right << "' stroke='" << grey
        << "' stroke-opacity='0.25'/>\n";
    write(svg, left - 8, scale.y(us) + 4, "text-anchor='end'", time_text(us));
  }
  for (int live : scale.lives()) {
    svg << "<path d='M" << scale.x(live) << ' ' << bottom << "v5' stroke='" << grey << "'/>\n";
    write(svg, scale.x(live), bottom + 21, "text-anchor='middle'", count_text(live));
  }
  write(svg, (left + right) / 2, bottom + 44, "text-anchor='middle'", "other children alive");
}

void draw(std::ostream& svg, const curve& one, const axes& scale) {
  svg << "<g stroke='" << one.how.colour << "' fill='none' stroke-width='" << one.how.width
      << "' stroke-linecap='round' stroke-linejoin='round'><path d='";
  for (std::size_t at = 0; at < one.points.size(); ++at) {
    auto [live, us] = one.points[at];
    svg << (at == 0 ? 'M' : 'L') << scale.x(live) << ' ' << scale.y(us);
  }
  auto [last, us] = one.points.back();
  svg << "'/><path stroke-width='1' d='M" << scale.x(last) + 4 << ' ' << scale.y(us) << 'L' << right + 22
      << ' ' << one.label_y << "'/></g>\n";
  std::string style =
      std::string("style='fill:") + one.how.colour + (one.how.width > 2 ? ";font-weight:600'" : "'");
  write(svg, right + 27, one.label_y + 4, style.c_str(), std::string(one.how.name) + "  " + time_text(us));
}

}  // namespace

std::string picture_of(const records& all) {
  auto curves = curves_of(all);
  if (curves.empty()) return {};
  axes scale(curves);
  place_labels(curves, scale);
  std::ostringstream svg;
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << width << ' ' << height << "' width='"
      << width << "' height='" << height << "' role='img'>\n"
      << "<title>From a child's exit to its callback, against the number of other children alive</title>\n"
      << "<style>text { font: 13px system-ui, sans-serif; fill: " << grey << "; white-space: pre }</style>\n";
  write(svg, left, 24, "style='font-size:16px;font-weight:600'",
        "From a child's exit to its callback, median");
  write(svg, left, 44, "style='font-size:12px'", machine_of(all));
  draw_axes(svg, scale);
  // The thick ones last, above the others.
  std::stable_sort(curves.begin(), curves.end(),
                   [](const curve& a, const curve& b) { return a.how.width < b.how.width; });
  for (const curve& one : curves) draw(svg, one, scale);
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace bench
