// The job server's page, in a headless Chromium: jobs are started there and seen to end. What it looked like
// stays in the build directory.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "support/browser.hpp"
#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using test::browser;
using test::job_server;

const char* chromium() {
  for (const char* program : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"}) {
    if (::access(program, X_OK) == 0) return program;
  }
  MESSAGE("SKIP: chromium is not installed");
  return nullptr;
}

void start_job(browser& page, const std::string& argv) {
  page.value("document.querySelector('#start [name=argv]').value = " + nlohmann::json(argv).dump());
  page.value("document.querySelector('#start button').click()");
}

// Of the ended job whose command holds that.
std::string row_of(const std::string& argv) {
  return "[...document.querySelectorAll('#ended tr[data-job]')].find(row => row.innerText.includes('" + argv +
         "'))";
}

std::string url_of(const job_server& server) {
  return "http://localhost:" + std::to_string(server.port) + "/";
}

}  // namespace

TEST_CASE("a job started from the page is seen to run and to end, and its output can be read") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  job_server server({"--allow-any"});
  {
    browser page(program);
    page.open(url_of(server));
    REQUIRE(page.until("document.getElementById('state')?.textContent === 'live'"));

    start_job(page, "sleep 600");
    REQUIRE(page.until("document.querySelectorAll('#running tr').length === 1"));
    start_job(page, R"(["sh", "-c", "echo hello; exit 3"])");
    REQUIRE(page.until(row_of("exit 3") + " !== undefined"));
    std::string row = page.value(row_of("exit 3") + ".innerText");
    CHECK_MESSAGE(row.find("exited with 3") != std::string::npos, row);
    page.value(row_of("exit 3") + ".click()");
    REQUIRE(page.until("document.querySelector('#ended pre')?.textContent.startsWith('hello\\n') === true"));

    start_job(page, "/no/such/program");
    CHECK(page.until(
        "document.getElementById('said').textContent.startsWith('cannot start /no/such/program')"));
    for (const char* argv : {"true", "sleep 0.05", "sleep 0.5"}) start_job(page, argv);
    REQUIRE(page.until("document.querySelectorAll('#ended tr[data-job]').length === 4"));
    REQUIRE(page.until("document.getElementById('late').textContent.includes('worst')"));
    REQUIRE(page.until("document.getElementById('walls').textContent.includes('job')"));
    if (const char* directory = std::getenv("UVREAP_TEST_ARTEFACTS")) {
      page.screenshot(std::string(directory) + "/jobserver_page.png");
    }

    page.value("document.querySelector('#running button').click()");
    REQUIRE(page.until(row_of("sleep 600") + "?.innerText.includes('SIGTERM') === true"));
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("a page without the token asks for it, and listens with it") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  std::string token = "0123456789abcdef";
  test::scratch_file file(token);
  job_server server({"--allow-any", "--token-file", file.path});
  {
    browser page(program);
    page.open(url_of(server));
    REQUIRE(page.until("document.getElementById('ask')?.hidden === false"));
    page.value("document.querySelector('#ask input').value = '" + token + "'");
    page.value("document.querySelector('#ask button').click()");
    REQUIRE(page.until("document.getElementById('state').textContent === 'live'"));
    start_job(page, "true");
    CHECK(page.until(row_of("true") + " !== undefined"));
  }
  CHECK(server.stop() == 0);
}
