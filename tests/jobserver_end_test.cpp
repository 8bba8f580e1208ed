// uvreap-jobserver and the ends of its jobs, and its own: none is left behind.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::is_there;
using test::job_server;

json shell(const std::string& script) { return {{"argv", {"sh", "-c", script}}}; }

void wait_for_file(const std::string& path) {
  for (int tries = 0; tries < 3000 && !std::filesystem::exists(path); ++tries) ::usleep(10'000);
  REQUIRE(std::filesystem::exists(path));
}

// Ignores SIGTERM, as its child does, from when the file is there.
struct stubborn {
  std::string file = "/tmp/uvreap-stubborn-" + std::to_string(::getpid());
  json order = shell("trap '' TERM; sleep 600 & : > " + file + "; wait");
  stubborn() { ::unlink(file.c_str()); }
  ~stubborn() { ::unlink(file.c_str()); }
  stubborn(const stubborn&) = delete;
  stubborn& operator=(const stubborn&) = delete;
};

}  // namespace

TEST_CASE("a daemon that holds a job's output does not hold the job, and the cut is said") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto started = server.post(shell("setsid sleep 600 & echo $!; exit 4").dump());
  CHECK(server.ask("GET", "/healthz").status == 200);
  auto job = server.ended(started);
  CHECK(job["exit_code"] == 4);
  CHECK(job["stdout"]["cut"] == "time");
  pid_t daemon = std::stoi(server.output(started, "stdout"));
  server.program.send(SIGTERM);
  CHECK(server.program.end() == 0);
  CHECK(is_there(daemon));  // it has left the job, and is nobody's child but the next subreaper's
  ::kill(daemon, SIGKILL);
  CHECK(::waitpid(daemon, nullptr, 0) == daemon);
}

TEST_CASE("DELETE ends a job, and one that has ended is a conflict") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto started = server.run({"sleep", "600"});
  std::string path = "/v1/jobs/" + started.id();
  CHECK(server.ask("DELETE", path).status == 202);
  auto job = server.ended(started);
  CHECK(job["signal"] == SIGTERM);
  CHECK(job["terminated"] == true);
  CHECK(job["timed_out"] == false);
  CHECK(job["end"] == "killed");
  CHECK(server.ask("DELETE", path).status == 409);
  path.back() = path.back() == '0' ? '1' : '0';
  CHECK(server.ask("DELETE", path).status == 404);
  CHECK(server.stop() == 0);
}

TEST_CASE("a job that ignores SIGTERM is killed when the grace is over, and its group with it") {
  test::clean_floor floor;
  stubborn job;
  job_server server({"--allow-any", "--grace", "0.2"});
  auto started = server.post(job.order.dump());
  wait_for_file(job.file);
  CHECK(server.ask("DELETE", "/v1/jobs/" + started.id()).status == 202);
  CHECK(server.ended(started)["signal"] == SIGKILL);
  CHECK(server.stop() == 0);
}

TEST_CASE("a timeout ends a job, and is said") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto started = server.post(R"({"argv": ["sleep", "600"], "timeout": 0.1})");
  auto job = server.ended(started);
  CHECK(job["timed_out"] == true);
  CHECK(job["signal"] == SIGTERM);
  CHECK(job["timeout"] == 0.1);
  CHECK(job["wall_ms"] >= 100);
  CHECK(server.stop() == 0);
}

TEST_CASE("a signal that would end the process ends what runs, takes nothing new, and leaves no child") {
  for (int signum : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGXCPU, SIGRTMIN + 3}) {
    CAPTURE(signum);
    test::clean_floor floor;
    stubborn job;
    job_server server({"--allow-any", "--grace", "0.5"});
    server.post(job.order.dump());
    auto other = server.run({"sleep", "600"});
    wait_for_file(job.file);
    server.drain(signum);
    CHECK(server.ended(other)["signal"] == SIGTERM);
    CHECK(server.run({"true"}).status == 503);
    CHECK(server.end() == 0);
    CHECK_FALSE(is_there(other.json()["pid"]));
  }
}

TEST_CASE("when the server ends, what a job's leader left in its group is ended, too") {
  test::clean_floor floor;
  std::string file = "/tmp/uvreap-survivor-" + std::to_string(::getpid());
  ::unlink(file.c_str());
  job_server server({"--allow-any", "--grace", "0.3"});
  // The leader ends at SIGTERM, its child does not.
  server.post(
      shell("(trap '' TERM; : > " + file + "; sleep 600 >/dev/null 2>&1) >/dev/null 2>&1 & wait").dump());
  wait_for_file(file);
  CHECK(server.stop() == 0);
  ::unlink(file.c_str());
}

TEST_CASE("a second signal does not wait for the grace") {
  test::clean_floor floor;
  stubborn job;
  job.order = shell("trap '' TERM; : > " + job.file + "; exec sleep 600");
  job_server server({"--allow-any", "--grace", "600"});
  server.post(job.order.dump());
  wait_for_file(job.file);
  server.drain(SIGTERM);
  server.program.send(SIGTERM);
  CHECK(server.end() == 0);
}

TEST_CASE("a fault of the server's own kills the jobs with it, and their groups") {
  for (int signum : {SIGSEGV, SIGABRT, SIGBUS}) {
    CAPTURE(signum);
    test::clean_floor floor;
    stubborn job;
    job_server server({"--allow-any", "--grace", "600"});
    server.post(job.order.dump());
    auto other = server.run({"sleep", "600"});
    server.ended(server.run({"true"}));
    wait_for_file(job.file);
    server.program.send(signum);
    CHECK(server.end() == 1000 + signum);
    CHECK_FALSE(is_there(other.json()["pid"]));
  }
}
