// The job server's page without a browser: its parts and where they are had, labels, what its policy (CSP)
// allows; and its logic by node. What it does in a browser: jobserver_browser_test.
#include <doctest/doctest.h>

#include <cstdlib>
#include <regex>
#include <set>
#include <string>

#include "support/clean_floor.hpp"
#include "support/html.hpp"
#include "support/job_server.hpp"

namespace {

using test::html;
using test::job_server;

std::vector<std::string> found_in(const std::string& text, const std::string& pattern) {
  std::vector<std::string> found;
  std::regex expression(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

// The sources that a policy names for a kind.
std::string allowed_for(const std::string& policy, const std::string& kind) {
  auto found = found_in(policy, "(?:^|; )" + kind + " ([^;]*)");
  return found.empty() ? "" : found[0];
}

// All that the page is made of: it, and what it and its scripts refer to.
std::map<std::string, test::http_reply> parts_of(job_server& server) {
  std::map<std::string, test::http_reply> parts;
  std::vector<std::string> left{""};
  while (!left.empty()) {
    std::string name = left.back();
    left.pop_back();
    if (parts.contains(name)) continue;
    auto reply = server.ask("GET", "/" + name);
    parts[name] = reply;
    for (const char* reference : {"src=\"([^\"]*)\"", "link [^>]*href=\"([^\"]*)\"", "from '\\./([^']*)'"}) {
      for (const auto& other : found_in(reply.body, reference)) left.push_back(other);
    }
  }
  return parts;
}

bool has_command(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

TEST_CASE("all that the page refers to is there, is relative, and is what its policy allows") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto parts = parts_of(server);
  CHECK(parts.contains("page.css"));
  CHECK(parts.contains("icon.svg"));
  CHECK(parts.contains("terminal.js"));
  const std::map<std::string, std::string> types{
      {"", "text/html"}, {".js", "text/javascript"}, {".css", "text/css"}, {".svg", "image/svg+xml"}};
  for (const auto& part : parts) {
    const auto& [name, reply] = part;
    CAPTURE(part.first);
    CHECK(reply.status == 200);
    std::string type = reply.field("Content-Type");
    CHECK(type.substr(0, type.find(';')) == types.at(name.substr(std::min(name.find('.'), name.size()))));
    CHECK(reply.field("X-Content-Type-Options") == "nosniff");
    // Neither a root nor a host: a proxy may have all of it under a prefix.
    CHECK_MESSAGE(found_in(reply.body, "((?:src|href)=\"(?:/|[a-z]+:)[^\"]*)").empty(), "absolute");
    CHECK_MESSAGE(found_in(reply.body, "(['\"`(]/v1)").empty(), "absolute");
    CHECK_MESSAGE(found_in(reply.body, "(url\\()").empty(), "it loads something that is not looked at here");
  }
  const auto& page = parts.at("");
  std::string policy = page.field("Content-Security-Policy");
  CHECK(allowed_for(policy, "default-src") == "'none'");
  for (const char* kind : {"script-src", "style-src", "img-src", "connect-src"}) {
    CHECK(allowed_for(policy, kind) == "'self'");
  }
  // What such a policy forbids: scripts and styles within the page.
  html read(page.body);
  for (const auto& each : read.elements) {
    CHECK(each.name != "style");
    CHECK((each.name != "script" || (each.has("src") && each.text.empty())));
    for (const auto& [name, value] : each.attributes) CHECK((name != "style" && !name.starts_with("on")));
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("each field and button has a name, each part a heading, and what changes is read aloud") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  html page(server.ask("GET", "/").body);
  CHECK(page.is_whole);
  CHECK(page.all("html").at(0).value("lang") == "en");
  CHECK(page.all("h1").size() == 1);
  CHECK(page.all("title").at(0).text == "uvreap-jobserver");
  int fields = 0;
  for (const char* name : {"input", "textarea", "select", "button", "section", "fieldset"}) {
    for (const auto& each : page.all(name)) {
      CAPTURE(name);
      CAPTURE(each.value("id"));
      bool has_legend = false;
      for (const auto& legend : page.all("legend"))
        has_legend |= page.elements[legend.in.back()].text == each.text;
      CHECK((page.is_labelled(each) || (each.name == "fieldset" && has_legend)));
      ++fields;
    }
  }
  CHECK(fields > 20);
  std::set<std::string> ids;
  for (const auto& each : page.elements) {
    if (each.has("id")) CHECK_MESSAGE(ids.insert(each.value("id")).second, each.value("id"));
  }
  for (const auto& each : page.elements) {
    for (const char* reference : {"for", "aria-labelledby", "aria-describedby", "aria-controls"}) {
      if (each.has(reference))
        CHECK_MESSAGE(page.by_id(each.value(reference)) != nullptr, each.value(reference));
    }
    if (each.name == "img") CHECK(each.has("alt"));
    if (each.name == "svg") CHECK(each.value("role") == "img");
    CHECK((!each.has("tabindex") || each.value("tabindex") == "-1"));  // the order is the page's
  }
  for (const char* id : {"state", "said", "ask-said"}) {
    REQUIRE(page.by_id(id) != nullptr);
    CHECK(page.by_id(id)->value("role") == "status");
  }
  CHECK(page.by_id("gone")->value("role") == "alert");
  // The script finds what it asks for.
  std::string script = server.ask("GET", "/page.js").body;
  auto asked = found_in(script, "\\bat\\('([^']*)'\\)");
  CHECK(asked.size() > 20);
  for (const auto& id : asked) CHECK_MESSAGE(ids.contains(id), id);
  CHECK(server.stop() == 0);
}

TEST_CASE("the page knows beforehand whether a token is needed, and is had without it") {
  test::clean_floor floor;
  test::scratch_file file("0123456789abcdef");
  for (bool is_needed : {false, true}) {
    std::vector<std::string> options{"--allow-any"};
    if (is_needed) options.insert(options.end(), {"--token-file", file.path});
    job_server server(options);
    for (const auto& [name, reply] : parts_of(server)) CHECK(reply.status == 200);
    html page(server.ask("GET", "/").body);
    CHECK(page.all("html").at(0).value("data-token") == (is_needed ? "needed" : "none"));
    CHECK(server.stop() == 0);
  }
}

TEST_CASE("by node: quoting, colours, and which jobs are shown in which order") {
  if (!has_command("node")) {
    MESSAGE("SKIP: node is not installed (Debian: nodejs)");
    return;
  }
  const char* directory = std::getenv("UVREAP_PAGE_TESTS");
  REQUIRE(directory != nullptr);
  for (const char* name : {"list", "quoting_by_sh", "terminal", "words"}) {
    std::string said = test::output_of("node " + std::string(directory) + "/" + name +
                                       "_test.mjs 2>&1 </dev/null; echo status $?");
    CHECK_MESSAGE(said.ends_with("status 0\n"), said);
  }
}
