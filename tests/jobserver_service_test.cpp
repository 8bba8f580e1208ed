// uvreap-jobserver as a service: systemd's sockets and notices, a Unix socket, lists that are read again, its
// log, its limits, and PID 1.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/commands.hpp"
#include "support/job_server.hpp"
#include "support/leased_file.hpp"

namespace {

using nlohmann::json;
using test::demo_program;
using test::job_server;
using test::output_of;

const std::string program = std::getenv("UVREAP_DEMO") != nullptr ? std::getenv("UVREAP_DEMO") : "";

// While it lives, what is run is another program, which is given the server and its arguments.
class run_by {
 public:
  explicit run_by(const char* other) { ::setenv("UVREAP_DEMO", other, 1); }
  ~run_by() { ::setenv("UVREAP_DEMO", program.c_str(), 1); }
  run_by(const run_by&) = delete;
  run_by& operator=(const run_by&) = delete;
};

// The server, by a shell that does something first.
std::vector<std::string> after(const std::string& script, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"-c", script + "; exec \"$0\" \"$@\"", program});
  return arguments;
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

bool within_ten_seconds(const std::function<bool()>& condition) {
  for (int tries = 0; tries < 1000 && !condition(); ++tries) ::usleep(10'000);
  return condition();
}

// Where a service tells systemd how it is.
class notice_socket {
 public:
  notice_socket() {
    ::unlink(path.c_str());
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~notice_socket() {
    ::close(socket_);
    ::unlink(path.c_str());
  }
  notice_socket(const notice_socket&) = delete;
  notice_socket& operator=(const notice_socket&) = delete;

  [[nodiscard]] std::string next() const {
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 10'000) != 1) return "nothing in ten seconds";
    char text[4096];
    ssize_t length = ::recv(socket_, text, sizeof text, 0);
    return {text, static_cast<std::size_t>(length)};
  }

  std::string path = "/tmp/uvreap-notice-" + std::to_string(::getpid());

 private:
  int socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

}  // namespace

TEST_CASE("systemd is told when the server is ready, reads its lists again, and ends") {
  test::clean_floor floor;
  notice_socket notices;
  ::setenv("NOTIFY_SOCKET", notices.path.c_str(), 1);
  job_server server({"--allow-any"});
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(notices.next() == "READY=1");
  auto job = server.run({"sh", "-c", "echo $NOTIFY_SOCKET"});
  server.ended(job);
  CHECK(server.output(job, "stdout") == "\n");  // no job may speak for the server
  server.program.send(SIGHUP);
  CHECK(notices.next().starts_with("RELOADING=1"));
  CHECK(notices.next() == "READY=1");
  CHECK(server.stop() == 0);
  CHECK(notices.next() == "STOPPING=1");
}

TEST_CASE("by systemd-analyze: the units are as systemd wants them") {
  if (std::system("command -v systemd-analyze >/dev/null 2>&1") != 0) {
    MESSAGE("SKIP: systemd-analyze is not installed (Debian: systemd)");
    return;
  }
  // The units that the build made, but with the program where it is now.
  std::string directory = "/tmp/uvreap-units-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  std::string unit = directory + "/uvreap-jobserver.";
  std::string said = output_of("d=$(readlink -f " + program + ") && cp $UVREAP_UNITS/*.socket " + directory +
                               " && sed \"s|^ExecStart=[^ ]*|ExecStart=$d|\" $UVREAP_UNITS/*.service >" +
                               unit + "service && systemd-analyze verify --man=no " + unit + "service " +
                               unit + "socket 2>&1; echo status $?; rm -r " + directory);
  CHECK(said == "status 0\n");
}

TEST_CASE("the unit's way to have the lists read again needs no program but the shell") {
  test::clean_floor floor;
  std::istringstream unit(
      test::contents(test::from_environment("UVREAP_UNITS") + "/uvreap-jobserver.service"));
  const std::string key = "ExecReload=";
  std::string line;
  while (!line.starts_with(key)) REQUIRE(std::getline(unit, line));

  notice_socket notices;
  ::setenv("NOTIFY_SOCKET", notices.path.c_str(), 1);
  job_server server({"--allow-any"});
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(notices.next() == "READY=1");
  // By a job, whose parent is the server.
  auto job = server.run({"sh", "-c", "exec env -i PATH=/nowhere MAINPID=$PPID " + line.substr(key.size())});
  CHECK(server.ended(job)["exit_code"] == 0);
  CHECK(notices.next().starts_with("RELOADING=1"));
  CHECK(server.stop() == 0);
}

TEST_CASE("sockets that systemd hands over are listened to, and no job has them") {
  test::clean_floor floor;
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(socket, 5) == 0);
  std::string script =
      "exec 3<&" + std::to_string(socket) + "; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x";
  {
    run_by shell("/bin/sh");
    job_server server(after(script, {"--allow-any", "--listen", "127.0.0.2"}));
    socklen_t length = sizeof address;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
    CHECK(server.port == ntohs(address.sin_port));
    auto job = server.run({"sh", "-c", "env | grep -c ^LISTEN_; ls /proc/self/fd | wc -l"});
    server.ended(job);
    CHECK(server.output(job, "stdout") == "0\n4\n");  // with the one that ls reads
    CHECK(server.stop() == 0);
  }
  ::close(socket);
  {
    int open = ::socket(AF_INET, SOCK_STREAM, 0);  // to all networks, and nobody is asked for a token
    REQUIRE(::listen(open, 5) == 0);
    std::string handed = "exec 3<&" + std::to_string(open) + "; export LISTEN_PID=$$ LISTEN_FDS=1";
    run_by shell("/bin/sh");
    demo_program server(after(handed, {"--allow-any"}));
    CHECK(server.end() == 1);
    CHECK(server.errors.find("is no loopback address: that needs --token-file") != std::string::npos);
    ::close(open);
  }

  run_by shell("/bin/sh");  // meant for another process, they are not taken
  job_server server(after("export LISTEN_PID=1 LISTEN_FDS=1", {}));
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("a Unix socket is listened to, replaced when its server was killed, and gone when it ended") {
  test::clean_floor floor;
  test::scratch_directory directory;
  std::string path = directory / "socket";
  std::string ask = "curl -s --unix-socket " + path + " http://any.name/healthz";
  auto start = [&] {
    return std::vector<std::string>{"--listen", path, "--listen", "127.0.0.1", "--port", "0"};
  };
  {
    demo_program server(start());
    REQUIRE(server.read_until("listening on unix:" + path + "\n"));
    CHECK(output_of(ask) == "ok\n");
    demo_program second({"--listen", path});
    CHECK(second.end() == 1);
    CHECK(second.errors.find("cannot listen on " + path + ": Address already in use") != std::string::npos);
    CHECK(output_of(ask) == "ok\n");
    server.send(SIGKILL);
    server.end();
  }
  CHECK(::access(path.c_str(), F_OK) == 0);
  {
    job_server server(start());
    CHECK(output_of(ask) == "ok\n");
    CHECK(output_of("curl -s --unix-socket " + path + " http://any.name/nowhere").find("404") !=
          std::string::npos);
    CHECK(server.stop() == 0);
    CHECK(server.program.errors.find("user " + std::to_string(::getuid())) != std::string::npos);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
  {
    demo_program first(start());
    REQUIRE(first.read_until("listening on unix:" + path + "\n"));
    REQUIRE(::unlink(path.c_str()) == 0);  // as an administrator may; then it is another server's
    demo_program second(start());
    REQUIRE(second.read_until("listening on unix:" + path + "\n"));
    first.send(SIGTERM);
    first.end();
    CHECK(output_of(ask) == "ok\n");
    second.send(SIGTERM);
    second.end();
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
  write_file(path, "not a socket");
  demo_program third({"--listen", path});
  CHECK(third.end() == 1);
  CHECK(::access(path.c_str(), F_OK) == 0);
}

TEST_CASE("SIGHUP has the lists read again, and one that is broken changes nothing") {
  test::clean_floor floor;
  test::scratch_file allowed("true\n");
  test::scratch_file token("0123456789abcdef\n");
  job_server server({"--allow", allowed.path, "--token-file", token.path});
  server.token = "0123456789abcdef";
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.run({"false"}).status == 403);
  write_file(allowed.path, "false\n");
  server.program.send(SIGHUP);
  CHECK(within_ten_seconds([&] { return server.run({"false"}).status == 201; }));
  CHECK(server.run({"true"}).status == 403);

  write_file(allowed.path, "true\n{broken\n");
  write_file(token.path, "fedcba9876543210\n");
  server.program.send(SIGHUP);
  ::usleep(100'000);  // nothing is to happen
  CHECK(server.run({"true"}).status == 403);
  CHECK(server.run({"false"}).status == 201);
  write_file(allowed.path, "true\n");
  server.program.send(SIGHUP);
  CHECK(within_ten_seconds([&] { return server.run({"false"}).status == 401; }));
  server.token = "fedcba9876543210";
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find(":2: broken JSON") != std::string::npos);
}

TEST_CASE(
    "after SIGHUP what runs and waits goes on, and only what waits and is no longer allowed is canceled") {
  test::clean_floor floor;
  test::scratch_directory scratch;
  std::string gate = scratch / "gate";
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  test::scratch_file allowed("cat " + gate + "\necho *\ntrue\n");
  test::scratch_file token("0123456789abcdef\n");
  job_server server({"--allow", allowed.path, "--token-file", token.path, "--max-jobs", "1"});
  server.token = "0123456789abcdef";
  auto runs = server.run({"cat", gate});
  CHECK(runs.status == 201);
  auto stays = server.run({"echo", "hello"});
  auto goes = server.run({"true"});
  auto stays_too = server.run({"echo", "again"});
  CHECK(stays_too.json()["position"] == 3);
  std::string follow = server.head("GET", "/v1/jobs/" + runs.id() + "/stdout?follow") + "\r\n";
  test::line_client follower(server.port);
  follower.say(follow.replace(follow.find("HTTP/1.1"), 8, "HTTP/1.0"));
  test::event_stream events(server);
  REQUIRE(events.reply.status == 200);

  write_file(allowed.path, "echo *\n");
  write_file(token.path, "fedcba9876543210\n");
  server.program.send(SIGHUP);
  server.token = "fedcba9876543210";
  CHECK(within_ten_seconds([&] { return server.ask("GET", "/v1/jobs").status == 200; }));
  auto canceled = server.ended(goes);
  CHECK(canceled["end"] == "canceled");
  CHECK(canceled["status"] == "canceled while it waited: true is not allowed to run any more");
  CHECK(server.ask("GET", "/v1/jobs/" + stays_too.id()).json()["position"] == 2);
  CHECK(server.ask("GET", "/v1/jobs/" + runs.id()).json()["state"] == "running");
  auto event = events.next();
  CHECK(event.name == "end");
  CHECK(event.data["id"] == goes.id());

  write_file(gate, "on and on\n");
  while (follower.line() != "\r") {
  }
  CHECK(follower.rest() == "on and on\n");
  CHECK(server.ended(runs)["exit_code"] == 0);
  for (const auto& one : {stays, stays_too}) CHECK(server.ended(one)["exit_code"] == 0);
  CHECK(server.metric("jobserver_jobs_canceled_total") == 1);
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find("true: canceled while it waited: true is not") != std::string::npos);
}

TEST_CASE("what was ignored when the server was started stays ignored, as nohup wants it") {
  test::clean_floor floor;
  run_by shell("/bin/sh");
  test::scratch_file allowed("true\n");
  job_server server(after("trap '' HUP INT USR1", {"--allow", allowed.path}));
  write_file(allowed.path, "false\n");
  for (int signum : {SIGHUP, SIGINT, SIGUSR1}) server.program.send(signum);
  ::usleep(100'000);  // nothing is to happen
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("the limit of descriptors is raised for the server when it is needed, and never for its jobs") {
  test::clean_floor floor;
  run_by shell("/bin/sh");
  job_server server(after("ulimit -Sn 300", {"--allow-any", "--max-clients", "500"}));
  CHECK(server.metric("process_max_fds") == 300);
  std::vector<std::unique_ptr<test::line_client>> clients;
  for (int many : {0, 400}) {  // then its own descriptors are above what the jobs may have
    while (static_cast<int>(clients.size()) < many) {
      clients.push_back(std::make_unique<test::line_client>(server.port));
    }
    if (many > 0) CHECK(within_ten_seconds([&] { return server.metric("jobserver_clients") > many; }));
    auto job = server.run({"sh", "-c", "ulimit -Sn; ulimit -Hn; exit 4"});
    CHECK(job.status == 201);
    CHECK(server.ended(job)["exit_code"] == 4);
    CHECK(server.output(job, "stdout") == "300\n" + output_of("ulimit -Hn"));
    CHECK(server.run({"no-such-program-anywhere"}).status == 422);
    CHECK(server.post(R"({"argv": ["true"], "cwd": "/no/such/directory"})").status == 422);
    auto other_path = server.post(R"({"argv": ["true"], "env": {"PATH": "/nowhere"}})");
    CHECK(server.ended(other_path)["exit_code"] == 0);
  }
  CHECK(server.metric("process_max_fds") >= 500);
  clients.clear();
  CHECK(server.stop() == 0);
}

TEST_CASE("the limit is not raised while a job is being made that would get it") {
  test::clean_floor floor;
  run_by shell("/bin/sh");
  test::scratch_directory scratch;
  std::string program = scratch.make("slow", "#!/bin/sh\nulimit -Sn\n", 0755);
  test::leased_file slow(program);
  job_server server(after("ulimit -Sn 300", {"--allow-any", "--max-clients", "500"}));
  test::line_client asks(server.port);
  asks.say(server.order(json{{"argv", {program}}}.dump()));
  slow.wait_until_it_is_opened();
  std::vector<std::unique_ptr<test::line_client>> clients;
  while (clients.size() < 270) clients.push_back(std::make_unique<test::line_client>(server.port));
  CHECK(within_ten_seconds([&] { return server.metric("jobserver_clients") > 270; }));
  CHECK(server.metric("process_max_fds") == 300);
  slow.let_go();
  auto job = test::reply_of(asks);
  server.ended(job);
  CHECK(server.output(job, "stdout") == "300\n");
  CHECK(server.metric("process_max_fds") >= 500);
  clients.clear();
  CHECK(server.stop() == 0);
}

TEST_CASE("jobs for which there is no descriptor left are started when the limit is raised") {
  test::clean_floor floor;
  run_by shell("/bin/sh");
  // What the server needs for itself, and then pipes for two jobs, but not for 20.
  job_server server(after("ulimit -Sn 40", {"--allow-any", "--max-clients", "100"}));
  std::vector<std::unique_ptr<test::line_client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<test::line_client>(server.port));
    clients.back()->say(server.order(R"({"argv": ["sh", "-c", "ulimit -Sn"]})"));
  }
  for (auto& client : clients) {
    auto job = test::reply_of(*client);
    CHECK(job.status == 201);
    server.ended(job);
    CHECK(server.output(job, "stdout") == "40\n");
  }
  clients.clear();
  CHECK(server.stop() == 0);
}

TEST_CASE("there is a line for each job and each refusal, and a stranger's text begins none") {
  test::clean_floor floor;
  test::scratch_file allowed("true ...\n");
  std::vector<std::string> arguments{"--allow", allowed.path};
  {
    job_server server(arguments);
    server.ended(server.run({"true", "a\nb\x1b[31m"}));
    server.run({"false"});
    server.ask("GET", "/nowhere");
    CHECK(server.stop() == 0);
    const std::string& log = server.program.errors;
    CHECK_MESSAGE(log.find(": true a\\x0ab\\x1b[31m: exited with 0 after ") != std::string::npos, log);
    CHECK(log.find("POST /v1/jobs: 403 false is not allowed to run\n") != std::string::npos);
    CHECK(log.find("GET /nowhere: 404 there is nothing at /nowhere\n") != std::string::npos);
    CHECK(std::count(log.begin(), log.end(), '\n') == 3);
  }
  arguments.insert(arguments.end(), {"--log", "json"});
  job_server server(arguments);
  auto id = server.run({"true", "x"}).id();
  server.ended(id);
  server.run({"false"});
  CHECK(server.stop() == 0);
  std::istringstream lines(server.program.errors);
  std::string line;
  std::getline(lines, line);
  auto job = json::parse(line);
  CHECK(job["job"] == id);
  CHECK(job["command"] == "true x");
  CHECK(job["status"] == "exited with 0");
  CHECK(job["client"].get<std::string>().starts_with("127.0.0.1:"));
  std::getline(lines, line);
  CHECK(json::parse(line)["refused"] == 403);
  CHECK(json::parse(line)["why"] == "false is not allowed to run");
}

TEST_CASE("a log that nobody reads holds nothing up, and what was dropped is counted") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string path = "/" + std::string(200, 'x');
  for (int i = 0; i < 6'000; ++i) CHECK(server.ask("GET", path).status == 404);
  CHECK(server.metric("jobserver_log_lines_dropped_total") > 0);
  server.program.send(SIGTERM);
  CHECK(server.program.read_until("nothing more") ==
        false);  // its stdout ended, while stderr is still unread
  CHECK(server.end() == 0);
}

TEST_CASE("as PID 1 the server reaps what its jobs leave behind") {
  test::clean_floor floor;
  if (output_of("unshare -pf --mount-proc echo yes 2>/dev/null") != "yes\n") {
    MESSAGE("SKIP: this machine gives no pid namespaces");
    return;
  }
  run_by unshare("/usr/bin/unshare");
  std::string own_program =
      program.starts_with('/') ? program : std::string(::get_current_dir_name()) + "/" + program;
  job_server server({"-pf", "--mount-proc", "--kill-child", own_program, "--allow-any"});
  for (int i = 0; i < 10; ++i) {
    CHECK(server.ended(server.run({"sh", "-c", "(sleep 0.1 > /dev/null 2>&1 &)"}))["exit_code"] == 0);
  }
  CHECK(within_ten_seconds([&] { return server.metric("jobserver_reaper_orphans_total") == 10; }));
  auto zombies = server.run({"sh", "-c", "cat /proc/[0-9]*/stat | grep -c ' Z '"});
  server.ended(zombies);
  CHECK(server.output(zombies, "stdout") == "0\n");
  server.run({"kill", "-TERM", "1"});
  CHECK(server.end() == 0);
}
