// The job server's page in a headless Chromium. Pictures of it: ./dev pictures.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "support/browser.hpp"
#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::browser;
using test::job_server;

const char* chromium() {
  for (const char* program : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"}) {
    if (::access(program, X_OK) == 0) return program;
  }
  MESSAGE("SKIP: chromium is not installed");
  return nullptr;
}

std::string url_of(const job_server& server) {
  return "http://localhost:" + std::to_string(server.port) + "/";
}

bool is_live(browser& page) { return page.until("document.getElementById('state').textContent === 'live'"); }

void open_live(browser& page, const job_server& server) {
  page.open(url_of(server));
  REQUIRE(is_live(page));
}

void start_job(browser& page, const std::string& line) {
  page.value("document.getElementById('command').value = " + json(line).dump());
  page.value("document.getElementById('command').oninput()");
  page.value("document.querySelector('#start button').click()");
}

std::string count_of(const std::string& selector) {
  return "document.querySelectorAll('" + selector + "').length";
}

// The row in that part whose text holds that.
std::string row_of(const std::string& part, const std::string& text) {
  return "[...document.querySelectorAll('#" + part + " li')].find(row => row.innerText.includes(" +
         json(text).dump() + "))";
}

std::string said(browser& page) { return page.value("document.getElementById('said').textContent"); }

// Presses Tab until what has the focus fits the selector.
bool tab_to(browser& page, const std::string& selector) {
  for (int tries = 0; tries < 60; ++tries) {
    page.press("Tab");
    if (page.value("document.activeElement.matches('" + selector + "')") == true) return true;
  }
  return false;
}

// What holds a job until it is opened.
class gate_file {
 public:
  gate_file() {
    REQUIRE(::mkdtemp(directory_.data()) != nullptr);
    path = directory_ + "/gate";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  }
  ~gate_file() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  gate_file(const gate_file&) = delete;
  gate_file& operator=(const gate_file&) = delete;

  std::string path;

  void open() const { ::close(::open(path.c_str(), O_WRONLY)); }

 private:
  std::string directory_ = "/tmp/uvreap-gate-XXXXXX";
};

}  // namespace

TEST_CASE("a page without a job says what to do, and one job is seen to run, to write and to end") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  job_server server({"--allow-any"});
  gate_file gate;
  {
    browser page(program);
    open_live(page, server);
    REQUIRE(page.until("document.getElementById('empty').hidden === false"));
    std::string example = page.value("document.getElementById('example').textContent");
    CHECK(example == "curl -H 'Content-Type: application/json' -d '{\"argv\": [\"date\"]}' " +
                         url_of(server) + "v1/jobs");
    // It is as it is said: pasted into a shell it starts a job.
    CHECK(test::output_of(example + " 2>/dev/null").find("\"argv\":[\"date\"]") != std::string::npos);
    REQUIRE(page.until(row_of("ended", "date") + " !== undefined"));
    CHECK(page.value("document.getElementById('empty').hidden") == true);

    start_job(page, "sh -c \"printf '\\\\033[31mred\\\\033[0m <b>\\\\n'; echo oops >&2; cat " + gate.path +
                        "; echo 'after all'\"");
    // It is opened, and followed while it runs.
    REQUIRE(page.until("document.querySelector('#running .stdout pre')?.textContent === 'red <b>\\n'"));
    REQUIRE(page.until("document.querySelector('#running .stderr pre')?.textContent === 'oops\\n'"));
    CHECK(page.value("document.querySelector('.stdout pre .fg1').textContent") == "red");
    CHECK(page.value("document.querySelector('.stdout .soft').textContent") == "followed");
    std::string red = page.value("getComputedStyle(document.querySelector('.stdout pre .fg1')).color");
    CHECK(red != page.value("getComputedStyle(document.querySelector('.stdout pre')).color"));
    gate.open();
    REQUIRE(
        page.until("document.querySelector('#ended .stdout pre')?.textContent === 'red <b>\\nafter all\\n'"));
    REQUIRE(page.until("document.querySelector('#ended .stdout .soft')?.textContent === '27 B'"));
    CHECK(page.value(row_of("ended", "after all") + ".querySelector('.how').innerText")
              .get<std::string>()
              .ends_with("exit 0"));
    CHECK(page.value(row_of("ended", "after all") + ".querySelector('.facts').innerText")
              .get<std::string>()
              .find("max RSS") != std::string::npos);
    CHECK(page.complaints().empty());

    start_job(page, "/no/such/program");
    REQUIRE(page.until(
        "document.getElementById('said').textContent.startsWith('cannot start /no/such/program')"));
    start_job(page, "echo 'not closed");
    CHECK(said(page) == "A ' is not closed.");
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("commands are shown as they can be typed again, and run again with all that they had") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  job_server server({"--allow-any"});
  std::string long_word(3000, 'x');
  auto posted =
      server.post(json{{"argv", {"cat", "-", "it's"}}, {"stdin", "secret"}, {"env", {{"LANG", "C"}}}}.dump());
  server.ended(posted);
  server.ended(server.post(json{
      {"argv", {"echo", "a  b", "", "it's", "x\ny", long_word}},
      {"timeout", 7.5},
      {"cwd", "/"}}.dump()));
  {
    browser page(program);
    open_live(page, server);
    REQUIRE(page.until(count_of("#ended li") + " === 2"));
    // Of one whose arguments the list has cut: all of them.
    page.value(row_of("ended", "echo") + ".querySelector('.actions button:not([hidden])').click()");
    REQUIRE(page.until(count_of("#ended li") + " === 3"));
    auto newest = server.ask("GET", "/v1/jobs?limit=1000").json()["jobs"].back();
    auto again = server.ask("GET", "/v1/jobs/" + newest["id"].get<std::string>()).json();
    CHECK(again["argv"] == json{"echo", "a  b", "", "it's", "x\ny", long_word});
    CHECK(again["timeout"] == 7.5);
    CHECK(again["cwd"] == "/");
    std::string line = "echo 'a  b' '' 'it'\\''s' 'x\ny' xxx";
    REQUIRE(page.until("document.querySelector('.details .whole code')?.textContent.startsWith(" +
                       json(line).dump() + ") === true"));

    // The server keeps neither input nor values: it is not run without them, but asked for.
    page.value(row_of("ended", "cat") + ".querySelector('.actions button:not([hidden])').click()");
    REQUIRE(page.until("document.getElementById('command').value !== ''"));
    CHECK(said(page) ==
          "The server does not keep its input and the values of LANG: please fill that in, then run it.");
    CHECK(page.value("document.getElementById('command').value") == "cat - 'it'\\''s'");
    CHECK(page.value("document.getElementById('env').value") == "LANG=");
    CHECK(page.value("document.getElementById('more').open") == true);
    CHECK(page.value(count_of("#ended li")) == 3);

    // What was asked for from here is known here.
    page.value("document.getElementById('stdin').value = 'b\\na\\n'");
    page.value("document.getElementById('env').value = 'LC_ALL=C'");
    start_job(page, "sort -");
    REQUIRE(page.until("document.querySelector('#ended .stdout pre')?.textContent === 'a\\nb\\n'"));
    page.value(row_of("ended", "sort -") + ".querySelector('.actions button:not([hidden])').click()");
    REQUIRE(page.until(count_of("#ended li") + " === 5"));
    REQUIRE(page.until("document.querySelector('#ended .stdout pre')?.textContent === 'a\\nb\\n'"));
    CHECK(page.complaints().empty());
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("all of it can be done by the keyboard, and the focus is never lost") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  job_server server({"--allow-any"});
  {
    browser page(program);
    open_live(page, server);
    page.press("Tab");
    CHECK(page.value("document.activeElement.className") == "skip");
    REQUIRE(tab_to(page, "#command"));
    page.type("sleep '600'");
    page.press("Enter");
    REQUIRE(page.until("document.querySelector('#running .details') !== null"));
    CHECK(said(page) == "Started: sleep 600");
    CHECK(page.value("document.activeElement.id") == "command");

    // Closed and opened.
    REQUIRE(tab_to(page, "#running .command"));
    page.press("Enter");
    REQUIRE(page.until("document.querySelector('.details') === null"));
    CHECK(page.value("document.activeElement.getAttribute('aria-expanded')") == "false");
    page.press(" ");
    REQUIRE(page.until("document.activeElement.getAttribute('aria-expanded') === 'true'"));
    CHECK(page.value(
              "document.getElementById(document.activeElement.getAttribute('aria-controls')) !== null") ==
          true);
    // What it wrote can be scrolled.
    CHECK(page.value("document.querySelector('.stdout pre').tabIndex") == 0);

    // A filter is chosen by arrows.
    page.value("document.querySelector('[name=kind]').focus()");
    page.press("ArrowRight");
    CHECK(page.value("document.querySelector('[name=kind]:checked').value") == "running");
    REQUIRE(tab_to(page, ".actions button"));
    CHECK(page.value("document.activeElement.ariaLabel") == "Stop: sleep 600");
    page.value("document.querySelector('[name=kind]').click()");
    page.value("document.querySelector('#running .actions button').focus()");
    page.press(" ");
    REQUIRE(page.until(row_of("ended", "SIGTERM") + " !== undefined"));
    CHECK(page.value("document.activeElement.matches('#ended .command')") == true);

    // Whatever takes the focus has a name.
    CHECK(page.value("[...document.querySelectorAll('button, input, select, textarea, pre')].filter(each => "
                     "!each.ariaLabel && "
                     "!each.labels?.length && !each.textContent.trim()).length") == 0);
    CHECK(page.complaints().empty());
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("at 390 px nothing is cut off, and 60 jobs that run do not hide the rest") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  job_server server({"--allow-any", "--max-jobs", "60"});
  std::string path = "/" + std::string(120, 'd') + "/" + std::string(120, 'e');
  server.ended(server.run({"echo", path, "a b"}));
  for (int i = 0; i < 60; ++i) server.run({"sleep", "600"});
  server.run({"true", "that waits"});
  {
    browser page(program);
    page.show(390, 844);
    open_live(page, server);
    REQUIRE(page.until(count_of("#running li") + " === 5"));
    CHECK(page.value("document.querySelector('#running .count').textContent") == "60");
    CHECK(page.value(count_of("#waiting li")) == 1);
    CHECK(page.value(count_of("#ended li")) == 1);
    page.value("document.querySelector('#ended .command').click()");
    REQUIRE(
        page.until("document.querySelector('#ended .stdout pre')?.textContent.endsWith('a b\\n') === true"));

    CHECK(page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth") == true);
    CHECK(
        page.value("Math.min(...[...document.querySelectorAll('.command')].map(each => each.clientWidth))") >=
        300);
    // Neither beside the page nor too small for a finger.
    std::string buttons =
        "[...document.querySelectorAll('button, input:not([type=radio]), select, textarea, fieldset span, "
        "pre')]"
        ".map(each => each.getBoundingClientRect()).filter(box => box.width > 0)";
    CHECK(page.value(buttons + ".filter(box => box.left < 0 || box.right > 390).length") == 0);
    CHECK(page.value("Math.min(..." + buttons + ".map(box => box.height))") >= 36);

    page.value("document.querySelector('#running .show-more').click()");
    CHECK(page.value(count_of("#running li")) == 60);
    page.value("document.querySelector('#running .show-fewer').click()");
    CHECK(page.value(count_of("#running li")) == 5);

    // A kind and a search.
    page.value("document.querySelector('[value=running]').click()");
    REQUIRE(page.until(count_of("#running li") + " === 60"));
    CHECK(page.value("document.getElementById('ended').hidden") == true);
    page.value("document.querySelector('[value=all]').click()");
    page.value("document.getElementById('search').value = 'DDD ECHO'");
    page.value("document.getElementById('find').oninput()");
    CHECK(page.value(count_of("#jobs li")) == 1);
    page.value("document.getElementById('search').value = 'no such thing'");
    page.value("document.getElementById('find').oninput()");
    CHECK(page.value(count_of("#jobs li")) == 0);
    CHECK(page.value("document.getElementById('no-match').hidden") == false);
    page.value("document.getElementById('show-all').click()");
    CHECK(page.value(count_of("#jobs li")) == 7);
    CHECK(page.complaints().empty());
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("when the server is gone that is said, and it comes back by itself with what became of the jobs") {
  test::clean_floor floor;
  const char* program = chromium();
  if (program == nullptr) return;
  std::string state = "/tmp/uvreap-state-XXXXXX";
  REQUIRE(::mkdtemp(state.data()) != nullptr);
  gate_file gate;
  std::optional<job_server> server(std::in_place, std::vector<std::string>{"--allow-any", "--state", state});
  {
    browser page(program);
    open_live(page, *server);
    start_job(page, "sh -c 'echo before; cat " + gate.path + "'");
    REQUIRE(page.until("document.querySelector('#running .stdout pre')?.textContent === 'before\\n'"));
    std::string port = std::to_string(server->port);
    server->program.send(SIGKILL);
    CHECK(server->program.end() != 0);
    REQUIRE(page.until("document.getElementById('gone').hidden === false"));
    CHECK(page.value("document.getElementById('state').textContent") == "not connected");
    CHECK(page.value("document.title") == "not connected – uvreap-jobserver");
    CHECK(page.value("document.querySelector('#running .stdout pre').textContent") == "before\n");
    // What is shown does not go on as if it were known.
    std::string wall = page.value("document.querySelector('#running .wall').textContent");
    ::sleep(2);
    CHECK(page.value("document.querySelector('#running .wall').textContent") == wall);
    gate.open();

    server.emplace(std::vector<std::string>{"--allow-any", "--state", state, "--port", port});
    REQUIRE(is_live(page));
    CHECK(page.value("document.getElementById('gone').hidden") == true);
    REQUIRE(page.until(row_of("ended", "lost") + " !== undefined"));
    REQUIRE(page.until("document.querySelector('#ended .stdout pre')?.textContent === 'before\\n'"));
    start_job(page, "echo back");
    CHECK(page.until("document.querySelector('#ended .stdout pre')?.textContent === 'back\\n'"));
  }
  CHECK(server->stop() == 0);
  std::error_code ignored;
  std::filesystem::remove_all(state, ignored);
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
    REQUIRE(page.until("document.getElementById('ask').hidden === false"));
    CHECK(page.value("document.activeElement.id") == "token");
    CHECK(page.complaints().empty());
    page.type("a wrong one");
    page.press("Enter");
    REQUIRE(page.until("document.getElementById('ask-said').textContent === 'That is not its token.'"));
    page.value("document.getElementById('token').value = ''");
    page.type(token);
    page.press("Enter");
    REQUIRE(is_live(page));
    start_job(page, "echo hello");
    CHECK(page.until("document.querySelector('#ended .stdout pre')?.textContent === 'hello\\n'"));
    std::string example = page.value("document.getElementById('example').textContent");
    CHECK(test::output_of("TOKEN=" + token + "; " + example + " 2>/dev/null").find("\"argv\":[\"date\"]") !=
          std::string::npos);
  }
  CHECK(server.stop() == 0);
}
