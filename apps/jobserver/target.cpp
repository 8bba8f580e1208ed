#include "target.hpp"

#include <charconv>

namespace {

std::optional<std::string> decoded(std::string_view text, bool plus_is_blank) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '+' && plus_is_blank) byte = ' ';
    if (byte == '%') {
      if (text.size() - i < 3) return {};
      const char* digits = text.data() + i + 1;
      auto [read_to, error] = std::from_chars(digits, digits + 2, byte, 16);
      if (error != std::errc() || read_to != digits + 2) return {};
      i += 2;
    }
    if (byte < ' ' || byte == 0x7f) return {};
    plain += static_cast<char>(byte);
  }
  return plain;
}

bool read_query(std::string_view text, target& into) {
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(pair.size() < text.size() ? pair.size() + 1 : pair.size());
    auto equals = pair.find('=');
    auto name = decoded(pair.substr(0, equals), true);
    auto value = decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1), true);
    if (!name || !value) return false;
    into.query.emplace_back(*std::move(name), *std::move(value));
  }
  return true;
}

}  // namespace

const std::string* target::value(std::string_view name) const {
  for (const auto& [given, value] : query) {
    if (given == name) return &value;
  }
  return nullptr;
}

std::optional<target> target::read(std::string_view sent) {
  target read;
  if (auto scheme = sent.find("://"); scheme != std::string_view::npos && scheme < sent.find_first_of("/?")) {
    sent.remove_prefix(scheme + 3);
    read.authority = std::string(sent.substr(0, sent.find_first_of("/?")));
    sent.remove_prefix(read.authority->size());
  }
  auto mark = sent.find('?');
  auto path = decoded(sent.substr(0, mark), false);
  if (!path) return {};
  read.path = path->empty() ? "/" : *std::move(path);
  if (mark != std::string_view::npos && !read_query(sent.substr(mark + 1), read)) return {};
  return read;
}
