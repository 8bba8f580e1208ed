#include "command_template.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "words.hpp"

namespace {

// Up to the last slash, and what follows it.
std::string_view name_in(std::string_view path) { return path.substr(path.rfind('/') + 1); }  // npos + 1 is 0

std::string_view without_extension(std::string_view path) {
  std::size_t dot = path.rfind('.');
  bool has_one = dot != std::string_view::npos && path.find('/', dot) == std::string_view::npos;
  return has_one ? path.substr(0, dot) : path;
}

// As dirname(1).
std::string_view directory_of(std::string_view path) {
  auto without_slashes = [](std::string_view text) { return text.substr(0, text.find_last_not_of('/') + 1); };
  std::string_view entry = without_slashes(path);
  if (entry.empty()) return path.empty() ? "." : "/";
  std::size_t slash = entry.rfind('/');
  if (slash == std::string_view::npos) return ".";
  std::string_view directory = without_slashes(entry.substr(0, slash));
  return directory.empty() ? "/" : directory;
}

}  // namespace

command_template::command_template(const std::vector<std::string>& command, std::size_t lists) {
  auto is_replaced = [](const piece& one) { return one.by.has_value(); };
  for (const std::string& text : command) {
    words_.push_back(pieces_of(text, lists));
    has_replacements_ =
        has_replacements_ || std::any_of(words_.back().begin(), words_.back().end(), is_replaced);
  }
  if (!has_replacements_) words_.push_back({{.by = replacement{}}});
}

// What is between braces: a list's number, if any, and which part of the argument is meant.
std::optional<command_template::replacement> command_template::replacement_in(std::string_view braces,
                                                                              std::size_t lists) {
  if (braces == "#") return replacement{.what = part::job_number};
  replacement found;
  const char* end = braces.data() + braces.size();
  auto [rest, error] = std::from_chars(braces.data(), end, found.list);
  if (error == std::errc() && (found.list == 0 || found.list > lists)) return {};
  if (error == std::errc::result_out_of_range) return {};
  std::string_view sign(rest, static_cast<std::size_t>(end - rest));
  constexpr std::array<std::pair<std::string_view, part>, 5> signs{{{"", part::whole},
                                                                    {".", part::no_extension},
                                                                    {"/", part::name},
                                                                    {"/.", part::name_no_extension},
                                                                    {"//", part::directory}}};
  auto known =
      std::find_if(signs.begin(), signs.end(), [sign](const auto& one) { return one.first == sign; });
  if (known == signs.end()) return {};
  found.what = known->second;
  return found;
}

command_template::word command_template::pieces_of(std::string_view text, std::size_t lists) {
  word pieces;
  std::string plain;
  while (!text.empty()) {
    std::size_t end = text[0] == '{' ? text.find('}') : std::string_view::npos;
    std::optional<replacement> found;
    if (end != std::string_view::npos) found = replacement_in(text.substr(1, end - 1), lists);
    if (!found) {
      plain += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (!plain.empty()) pieces.push_back({.text = std::exchange(plain, {})});
    pieces.push_back({.by = found});
    text.remove_prefix(end + 1);
  }
  if (!plain.empty() || pieces.empty()) pieces.push_back({.text = std::move(plain)});
  return pieces;
}

std::vector<std::string> command_template::values_of(const replacement& by,
                                                     const std::vector<std::string>& arguments,
                                                     std::uint64_t job) {
  auto part_of = [&by](std::string_view argument) -> std::string_view {
    switch (by.what) {
      case part::no_extension:
        return without_extension(argument);
      case part::name:
        return name_in(argument);
      case part::name_no_extension:
        return without_extension(name_in(argument));
      case part::directory:
        return directory_of(argument);
      case part::whole:
      case part::job_number:
        break;
    }
    return argument;
  };
  if (by.what == part::job_number) return {std::to_string(job)};
  if (by.list != 0) return {std::string(part_of(arguments[by.list - 1]))};
  std::vector<std::string> values;
  for (const std::string& argument : arguments) values.emplace_back(part_of(argument));
  return values;
}

std::vector<std::string> command_template::words(const std::vector<std::string>& arguments,
                                                 std::uint64_t job) const {
  std::vector<std::string> made;
  for (const word& pieces : words_) {
    if (pieces.size() == 1 && pieces[0].by) {
      for (std::string& value : values_of(*pieces[0].by, arguments, job)) made.push_back(std::move(value));
      continue;
    }
    std::string text;
    for (const piece& one : pieces) text += one.by ? joined(values_of(*one.by, arguments, job)) : one.text;
    made.push_back(std::move(text));
  }
  return made;
}

std::string command_template::shell_text(const std::vector<std::string>& arguments, std::uint64_t job) const {
  std::vector<std::string> made;
  for (const word& pieces : words_) {
    std::string text;
    for (const piece& one : pieces)
      text += one.by ? shell_line(values_of(*one.by, arguments, job)) : one.text;
    made.push_back(std::move(text));
  }
  return joined(made);
}
