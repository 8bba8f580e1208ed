// uvreap-jobserver and restarts: what was asked for is kept or told as lost, and never taken for another's.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/children.hpp"
#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;

class scratch_directory {
 public:
  scratch_directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  std::string path = "/tmp/uvreap-state-XXXXXX";
};

// The server is killed, and what ran under it becomes the test's, to be ended.
void kill(job_server& server, const std::vector<pid_t>& orphans) {
  server.program.send(SIGKILL);
  CHECK(server.program.end() == 1000 + SIGKILL);
  for (pid_t pid : orphans) {
    ::kill(pid, SIGKILL);
    CHECK(::waitpid(pid, nullptr, 0) == pid);
  }
}

}  // namespace

TEST_CASE(
    "jobs that have ended are there after a restart, with what they wrote, and later ones have greater ids") {
  test::clean_floor floor;
  scratch_directory state;
  std::vector<std::string> ids;
  json before;
  {
    job_server server({"--allow-any", "--state", state.path});
    auto job = server.run({"sh", "-c", "echo out; echo err >&2; exit 3", std::string(1000, 'x')});
    ids.push_back(job.id());
    before = server.ended(job);
    ids.push_back(server.run({"true"}).id());
    server.ended(ids[1]);
    CHECK(server.stop() == 0);
  }
  job_server server({"--allow-any", "--state", state.path});
  CHECK(server.ask("GET", "/v1/jobs/" + ids[0]).json() == before);
  CHECK(server.output(ids[0], "stdout") == "out\n");
  CHECK(server.output(ids[0], "stderr") == "err\n");
  CHECK(server.metric("jobserver_jobs_kept") == 2);
  ids.push_back(server.run({"true"}).id());
  std::vector<std::string> listed;
  auto page = server.ask("GET", "/v1/jobs").json();
  for (const auto& job : page["jobs"]) listed.push_back(job["id"]);
  CHECK(listed == ids);
  CHECK(server.stop() == 0);
}

TEST_CASE(
    "a job that ran when the server died is told as lost, with what it had written, and one that waited as "
    "canceled") {
  test::clean_floor floor;
  scratch_directory state;
  std::string runs, waits, ended;
  {
    job_server server({"--allow-any", "--state", state.path, "--max-jobs", "1"});
    ended = server.run({"true"}).id();
    server.ended(ended);
    auto job = server.run({"sh", "-c", "echo so far; exec sleep 600"});
    runs = job.id();
    while (server.output(runs, "stdout").empty()) ::usleep(1'000);
    waits = server.run({"true"}).id();
    kill(server, {job.json()["pid"]});
  }
  job_server server({"--allow-any", "--state", state.path});
  auto lost = server.ask("GET", "/v1/jobs/" + runs).json();
  CHECK(lost["state"] == "ended");
  CHECK(lost["end"] == "lost");
  CHECK(lost["status"] == "lost: the server died while it ran");
  CHECK(lost["stdout"]["bytes"] == 7);
  CHECK(server.output(runs, "stdout") == "so far\n");
  auto canceled = server.ask("GET", "/v1/jobs/" + waits).json();
  CHECK(canceled["end"] == "canceled");
  CHECK(canceled["position"].is_null());
  CHECK(server.ask("DELETE", "/v1/jobs/" + runs).status == 409);
  CHECK(server.ask("GET", "/v1/jobs/" + ended).json()["end"] == "exited");
  CHECK(server.stop() == 0);
  for (const std::string& id : {runs, waits}) CHECK(server.program.errors.find(id) != std::string::npos);
}

TEST_CASE("whenever the server is killed, each job that was answered is there afterwards, and each id once") {
  test::clean_floor floor;
  scratch_directory state;
  std::set<std::string> answered;
  for (int round = 0; round < 5; ++round) {
    job_server server({"--allow-any", "--state", state.path, "--max-jobs", "4"});
    for (int i = 0; i < 50; ++i) {
      auto reply = server.run({"true"});
      CHECK(reply.status / 100 == 2);
      CHECK(answered.insert(reply.id()).second);
    }
    server.program.send(SIGKILL);
    server.end();
  }
  job_server server({"--allow-any", "--state", state.path});
  auto page = server.ask("GET", "/v1/jobs?limit=1000").json();
  CHECK(page["jobs"].size() == answered.size());
  for (const auto& job : page["jobs"]) {
    CHECK(answered.contains(job["id"]));
    CHECK(job["state"] == "ended");
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("ids do not repeat without a state either") {
  test::clean_floor floor;
  std::set<std::string> ids;
  for (int round = 0; round < 3; ++round) {
    job_server server({"--allow-any"});
    std::string last;
    for (int i = 0; i < 20; ++i) {
      std::string id = server.run({"true"}).id();
      CHECK(id > last);
      CHECK(ids.insert(id).second);
      last = id;
    }
    CHECK(server.stop() == 0);
  }
}

TEST_CASE("what is kept is bounded after a restart, too") {
  test::clean_floor floor;
  scratch_directory state;
  std::vector<std::string> ids;
  {
    job_server server({"--allow-any", "--state", state.path});
    for (int i = 0; i < 5; ++i) {
      ids.push_back(server.run({"echo", "hello"}).id());
      server.ended(ids.back());
    }
    CHECK(server.stop() == 0);
  }
  job_server server({"--allow-any", "--state", state.path, "--keep", "2"});
  CHECK(server.metric("jobserver_jobs_kept") == 2);
  CHECK(server.ask("GET", "/v1/jobs/" + ids[2]).status == 404);
  CHECK(server.output(ids[3], "stdout") == "hello\n");
  CHECK(server.stop() == 0);
}

TEST_CASE("one server at a time uses a directory, and what is no database of its own is left alone") {
  test::clean_floor floor;
  scratch_directory state;
  {
    job_server server({"--allow-any", "--state", state.path});
    test::demo_program second({"--port", "0", "--state", state.path});
    CHECK(second.end() == 1);
    CHECK(second.errors.find(state.path + ": another server uses it") != std::string::npos);
    CHECK(server.run({"true"}).status == 201);
    for (const char* one : {"/jobs.sqlite", "/jobs.sqlite-wal", "/lock"}) {  // jobs are for the server's user
      CAPTURE(one);
      auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
      CHECK((std::filesystem::status(state.path + one).permissions() & others) == std::filesystem::perms{});
    }
    CHECK(server.stop() == 0);
  }
  std::string file = state.path + "/jobs.sqlite";
  std::string text(5000, 'x');
  std::ofstream(file) << text;
  test::demo_program broken({"--port", "0", "--state", state.path});
  CHECK(broken.end() == 1);
  CHECK_MESSAGE(broken.errors.find("file is not a database") != std::string::npos, broken.errors);
  std::ifstream stream(file);
  CHECK(std::string(std::istreambuf_iterator<char>(stream), {}) == text);
}

TEST_CASE("a job that cannot be written down is refused, and the server goes on") {
  test::clean_floor floor;
  scratch_directory state;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  rlimit small{.rlim_cur = 256 << 10, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  job_server server({"--allow-any", "--state", state.path, "--log", "json"});
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  int status = 201;
  for (int i = 0; i < 500 && status == 201; ++i)
    status = server.run({"true", std::string(10'000, 'x')}).status;
  CHECK(status == 503);
  CHECK(server.run({"true", std::string(300'000, 'x')}).detail() == "the job cannot be written down");
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.metric("jobserver_jobs_not_written_total") >= 1);
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find("cannot write a job down") != std::string::npos);
}

TEST_CASE(
    "a job whose end cannot be written down has ended all the same, and is written when there is room") {
  test::clean_floor floor;
  scratch_directory state;
  std::string gate = state.path + "/gate";
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  rlimit small{.rlim_cur = 256 << 10, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string id;
  {
    job_server server({"--allow-any", "--state", state.path});
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    id = server.run({"sh", "-c", "read line <" + gate + "; exit 3"}).id();
    while (server.run({"true", std::string(10'000, 'x')}).status == 201) {
    }
    while (server.run({"true"}).status == 201) {
    }
    std::ofstream(gate) << "\n";
    auto job = server.ended(id);
    CHECK(job["exit_code"] == 3);
    CHECK(server.ask("DELETE", "/v1/jobs/" + id).status == 409);
    REQUIRE(::prlimit(*test::children().begin(), RLIMIT_FSIZE, &limit, nullptr) == 0);
    CHECK(server.run({"true"}).status == 201);
    CHECK(server.stop() == 0);
  }
  job_server server({"--allow-any", "--state", state.path});
  CHECK(server.ended(id)["exit_code"] == 3);
  CHECK(server.stop() == 0);
}
