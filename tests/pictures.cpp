// Pictures of the job server's page, to be looked at: ./dev pictures. Light and dark, wide and narrow, with
// no job, with 5 and with 200; with one that is open; and with the server gone.
#include <doctest/doctest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "support/browser.hpp"
#include "support/job_server.hpp"

namespace {

using test::browser;
using test::job_server;

struct window {
  const char* name;
  int width;
  int height;
};

void take(browser& page, const std::string& name) {
  const char* directory = std::getenv("UVREAP_TEST_ARTEFACTS");
  for (const window& each : {window{"wide", 1280, 900}, window{"narrow", 390, 844}}) {
    for (bool dark : {false, true}) {
      page.show(each.width, each.height, dark);
      // As tall as the page is, so that nothing is below the picture.
      int height = page.value("document.documentElement.scrollHeight");
      page.show(each.width, std::max(height, each.height), dark);
      page.value("window.dispatchEvent(new Event('resize'))");
      page.screenshot(std::string(directory) + "/page-" + name + "-" + each.name +
                      (dark ? "-dark" : "-light") + ".png");
    }
  }
}

// The jobs of a day: builds, copies, reports, and some that fail.
std::vector<std::vector<std::string>> some_jobs() {
  return {{"sh", "-c", "echo built 24 files; echo 'warning: unused variable' >&2"},
          {"sort", "-u", "my list.txt"},
          {"sh", "-c", "kill -TERM $$"},
          {"sleep", "600"},
          {"sh", "-c",
           "printf '\\033[1mtests\\033[0m\\n\\033[32mok\\033[0m   queue\\n\\033[32mok\\033[0m   signals\\n"
           "\\033[31mfail\\033[0m round\\n\\033[30;43m 1 of 3 failed \\033[0m\\n'; echo 'round_test.cpp:41: "
           "expected "
           "3' >&2; sleep 600; exit 1"}};
}

void wait_for(job_server& server, const std::string& metric, double value) {
  for (int tries = 0; server.metric(metric) != value && tries < 1000; ++tries) ::usleep(20'000);
  CHECK(server.metric(metric) == value);
}

std::string url_of(const job_server& server) {
  return "http://localhost:" + std::to_string(server.port) + "/";
}

bool is_live(browser& page) { return page.until("document.getElementById('state').textContent === 'live'"); }

}  // namespace

TEST_CASE("no job") {
  job_server server({"--allow-any"});
  browser page("/usr/bin/chromium");
  page.open(url_of(server));
  REQUIRE(is_live(page));
  take(page, "0-jobs");
  CHECK(server.stop() == 0);
}

TEST_CASE("5 jobs, one of which is open, and then the server is gone") {
  std::optional<job_server> server(std::in_place, std::vector<std::string>{"--allow-any"});
  for (const auto& argv : some_jobs()) server->run(argv);
  wait_for(*server, "jobserver_jobs_running", 2);
  browser page("/usr/bin/chromium");
  page.show(1280, 900);
  page.open(url_of(*server));
  REQUIRE(is_live(page));
  REQUIRE(page.until("document.querySelectorAll('li').length === 5"));
  take(page, "5-jobs");
  page.value("document.querySelector('#running .command').click()");
  REQUIRE(page.until("document.querySelector('.stdout pre')?.textContent.includes('1 of 3') === true"));
  page.value(
      "document.getElementById('command').value = `grep -c \"two words\" 'my list.txt' | wc`;"
      "document.getElementById('command').oninput()");
  take(page, "open-job");
  CHECK(server->stop() == 0);
  REQUIRE(page.until("!document.getElementById('gone').hidden"));
  take(page, "server-gone");
}

TEST_CASE("200 jobs, of which 60 run and 30 wait") {
  job_server server({"--allow-any", "--max-jobs", "60"});
  const std::vector<std::vector<std::string>> ended{{"true"},
                                                    {"sh", "-c", "exit 3"},
                                                    {"/usr/bin/printf", "%s\\n", "a 'quoted' word", ""},
                                                    {"sh", "-c", "kill -9 $$"},
                                                    {"sleep", "0.05"},
                                                    {"echo", std::string(150, 'x')}};
  for (std::size_t i = 0; i < 110; ++i) server.run(ended[i % ended.size()]);
  wait_for(server, "jobserver_jobs_kept", 110);
  for (int i = 0; i < 60; ++i) server.run({"sleep", std::to_string(600 + i)});
  for (int i = 0; i < 30; ++i) server.run({"make", "-C", "/srv/project", "part" + std::to_string(i)});
  wait_for(server, "jobserver_jobs_queued", 30);
  browser page("/usr/bin/chromium");
  page.show(1280, 900);
  page.open(url_of(server));
  REQUIRE(is_live(page));
  REQUIRE(page.until("document.querySelectorAll('li').length === 35"));
  take(page, "200-jobs");
  CHECK(server.stop() == 0);
}

TEST_CASE("a server that wants its token") {
  test::scratch_file file("0123456789abcdef");
  job_server server({"--allow-any", "--token-file", file.path});
  browser page("/usr/bin/chromium");
  page.open(url_of(server));
  REQUIRE(page.until("!document.getElementById('ask').hidden"));
  take(page, "token");
  CHECK(server.stop() == 0);
}
