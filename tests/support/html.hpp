// The elements of an HTML page that closes all that it opens, in their order; enough to ask who labels what.
//
//     test::html page(text);
//     for (const auto& each : page.all("input")) CHECK(page.is_labelled(each));
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

namespace test {

class html {
 public:
  struct element {
    std::string name;
    std::map<std::string, std::string> attributes{};
    std::string text{};             // all that is in it
    std::vector<std::size_t> in{};  // those around it, the outermost first

    [[nodiscard]] std::string value(const std::string& attribute) const {
      auto found = attributes.find(attribute);
      return found != attributes.end() ? found->second : "";
    }
    [[nodiscard]] bool has(const std::string& attribute) const { return attributes.contains(attribute); }
  };

  explicit html(const std::string& text) {
    std::vector<std::size_t> open;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t tag = std::min(text.find('<', at), text.size());
      for (std::size_t each : open) elements[each].text += text.substr(at, tag - at);
      std::size_t end = std::min(text.find('>', tag), text.size());
      std::string inner = tag < text.size() ? text.substr(tag + 1, end - tag - 1) : "";
      at = end + 1;
      if (inner.starts_with('/')) {
        is_whole = is_whole && !open.empty() && elements[open.back()].name == inner.substr(1);
        if (!open.empty()) open.pop_back();
      } else if (!inner.empty() && !inner.starts_with('!')) {
        elements.push_back(read(inner));
        elements.back().in = open;
        if (!is_void(elements.back().name)) open.push_back(elements.size() - 1);
      }
    }
    is_whole = is_whole && open.empty();
  }

  std::vector<element> elements;
  bool is_whole = true;  // each element is closed, in its place

  [[nodiscard]] std::vector<element> all(const std::string& name) const {
    std::vector<element> found;
    for (const auto& each : elements) {
      if (each.name == name) found.push_back(each);
    }
    return found;
  }
  [[nodiscard]] const element* by_id(const std::string& id) const {
    if (id.empty()) return nullptr;
    auto found = std::find_if(elements.begin(), elements.end(),
                              [&](const element& each) { return each.value("id") == id; });
    return found != elements.end() ? &*found : nullptr;
  }

  // Whether a screen reader has a name for it.
  [[nodiscard]] bool is_labelled(const element& one) const {
    if (!one.value("aria-label").empty()) return true;
    if (const element* other = by_id(one.value("aria-labelledby"))) return has_text(*other);
    if (one.name == "button") return has_text(one);
    for (std::size_t each : one.in) {
      if (elements[each].name == "label" && has_text(elements[each])) return true;
    }
    auto labels = all("label");
    return std::any_of(labels.begin(), labels.end(), [&](const element& label) {
      return label.has("for") && label.value("for") == one.value("id") && has_text(label);
    });
  }

 private:
  static bool is_void(const std::string& name) {
    return name == "meta" || name == "link" || name == "input" || name == "img" || name == "br";
  }
  static bool has_text(const element& one) { return one.text.find_first_not_of(" \n") != std::string::npos; }

  // input type="radio" checked
  static element read(const std::string& inner) {
    std::size_t at = std::min(inner.find_first_of(" \n"), inner.size());
    element made{inner.substr(0, at)};
    while ((at = inner.find_first_not_of(" \n", at)) != std::string::npos) {
      std::size_t end = std::min(inner.find_first_of("= \n", at), inner.size());
      std::string& value = made.attributes[inner.substr(at, end - at)];
      at = end;
      if (at == inner.size() || inner[at] != '=') continue;
      std::size_t close = std::min(inner.find('"', at + 2), inner.size() - 1);
      value = inner.substr(at + 2, close - at - 2);
      at = close + 1;
    }
    return made;
  }
};

}  // namespace test
