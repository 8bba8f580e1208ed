// uvreap-jobserver and what its jobs write: kept as bytes, in parts, and followed while they run.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;

// A FIFO that a job reads and the test writes: the job writes on what it is given, so far.
class fifo {
 public:
  fifo() {
    ::unlink(path.c_str());
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    end_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(end_ >= 0);
  }
  ~fifo() {
    close();
    ::unlink(path.c_str());
  }
  fifo(const fifo&) = delete;
  fifo& operator=(const fifo&) = delete;

  void write(const std::string& text) const {
    REQUIRE(::write(end_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void close() {
    if (end_ >= 0) ::close(end_);
    end_ = -1;
  }

  std::string path = "/tmp/uvreap-fifo-" + std::to_string(::getpid());

 private:
  int end_ = -1;
};

std::string path_of(const test::http_reply& job) { return "/v1/jobs/" + job.id() + "/stdout"; }

}  // namespace

TEST_CASE("output is kept up to the limit, as bytes, and that it was cut is said") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--keep-output", "1000"});
  auto started = server.run({"seq", "100000"});
  auto job = server.ended(started);
  CHECK(job["stdout"] == json{{"bytes", 1000}, {"cut", "limit"}});
  CHECK(job["stderr"]["cut"].is_null());
  auto text = server.output(started, "stdout");
  CHECK(text.size() == 1000);
  CHECK(text.starts_with("1\n2\n3\n"));
  auto odd = server.run({"printf", "a\\377\\000b"});
  server.ended(odd);
  CHECK(server.output(odd, "stdout") == std::string("a\xff\0b", 4));
  CHECK(server.stop() == 0);
}

TEST_CASE("a browser shows output as text, and runs none of it") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto job = server.run({"echo", "<script>alert(1)</script>"});
  server.ended(job);
  auto reply = server.ask("GET", path_of(job));
  CHECK(reply.field("Content-Type") == "text/plain; charset=utf-8");
  CHECK(reply.field("X-Content-Type-Options") == "nosniff");
  CHECK(reply.field("Content-Security-Policy") == "default-src 'none'; sandbox");
  CHECK(server.stop() == 0);
}

TEST_CASE("a part of an output is had by its range") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto job = server.run({"printf", "0123456789"});
  server.ended(job);
  auto ask = [&](const std::string& range) {
    return server.ask_raw(server.head("GET", path_of(job)) + "Range: " + range + "\r\n\r\n");
  };
  struct wanted {
    const char* range;
    int status;
    const char* content_range;
    const char* body;
  };
  const wanted all[] = {
      {"bytes=0-0", 206, "bytes 0-0/10", "0"},   {"bytes=2-4", 206, "bytes 2-4/10", "234"},
      {"bytes=7-", 206, "bytes 7-9/10", "789"},  {"bytes=7-99999999999999999999", 206, "bytes 7-9/10", "789"},
      {"bytes=-3", 206, "bytes 7-9/10", "789"},  {"bytes=-30", 206, "bytes 0-9/10", "0123456789"},
      {"bytes=10-", 416, "bytes */10", nullptr}, {"bytes=-0", 416, "bytes */10", nullptr},
      {"bytes=4-2", 200, "", "0123456789"},      {"bytes=0-1,3-4", 200, "", "0123456789"},
      {"bytes=-", 200, "", "0123456789"},        {"bytes=x-", 200, "", "0123456789"},
      {"bytes=+1-2", 200, "", "0123456789"},     {"lines=0-1", 200, "", "0123456789"},
  };
  for (const wanted& one : all) {
    CAPTURE(one.range);
    auto reply = ask(one.range);
    CHECK(reply.status == one.status);
    CHECK(reply.field("Content-Range") == one.content_range);
    if (one.body != nullptr) CHECK(reply.body == one.body);
  }
  for (const char* validator : {"\"x\"", "W/\"x\"", "Sun, 29 Nov 2026 18:00:00 GMT", ""}) {
    CAPTURE(validator);
    for (const char* range : {"bytes=2-4", "bytes=10-"}) {
      auto reply = ask(std::string(range) + "\r\nIf-Range: " + validator);
      CHECK(reply.status == 200);
      CHECK(reply.body == "0123456789");
    }
  }
  auto head = server.ask_raw(server.head("HEAD", path_of(job)) + "Range: bytes=2-4\r\n\r\n");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "10");
  CHECK(server.stop() == 0);
}

TEST_CASE("the output of a job that runs can be read so far, and followed to its end") {
  test::clean_floor floor;
  fifo gate;
  job_server server({"--allow-any"});
  auto job = server.run({"cat", gate.path});
  test::line_client follower(server.port);
  std::string request = server.head("GET", path_of(job) + "?follow") + "\r\n";
  follower.say(request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0"));
  std::string line = follower.line();
  CHECK(line.starts_with("HTTP/1.0 200") + line.starts_with("HTTP/1.1 200") == 1);
  while (follower.line() != "\r") {
  }

  gate.write("one\n");
  CHECK(follower.line() == "one");
  auto so_far = server.ask("GET", path_of(job));
  CHECK(so_far.status == 200);
  CHECK(so_far.body == "one\n");
  auto part = server.ask_raw(server.head("GET", path_of(job)) + "Range: bytes=1-\r\n\r\n");
  CHECK(part.status == 206);
  CHECK(part.field("Content-Range") == "bytes 1-3/*");
  gate.write("two\n");
  CHECK(follower.line() == "two");
  CHECK(server.ask("GET", "/v1/jobs/" + job.id()).json()["stdout"]["bytes"] == 8);
  gate.write("three\n");
  gate.close();
  CHECK(follower.rest() == "three\n");
  CHECK(server.ended(job)["exit_code"] == 0);
  CHECK(server.ask("GET", path_of(job) + "?follow").body == "one\ntwo\nthree\n");
  CHECK(server.stop() == 0);
}

TEST_CASE("who says no more after its request gets its answer to the end") {
  test::clean_floor floor;
  fifo gate;
  job_server server({"--allow-any"});
  test::line_client asks(server.port);
  asks.say(server.order(json{{"argv", {"cat", gate.path}}}.dump()));
  asks.say_no_more();
  auto job = test::reply_of(asks);
  REQUIRE(job.status == 201);
  CHECK(asks.rest().empty());
  test::line_client follower(server.port);
  std::string request = server.head("GET", path_of(job) + "?follow") + "\r\n";
  follower.say(request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0"));
  follower.say_no_more();
  while (follower.line() != "\r") {
  }
  // The server looks for those that are gone once a second.
  test::event_stream events(server);
  for (int beats = 0; beats < 4; ++beats) CHECK(events.any().name == "beat");
  gate.write("one\n");
  CHECK(follower.line() == "one");
  gate.write("two\n");
  gate.close();
  CHECK(follower.rest() == "two\n");
  CHECK(server.ended(job)["exit_code"] == 0);
  test::line_client reads(server.port);
  reads.say(server.head("GET", path_of(job)) + "\r\n");
  reads.say_no_more();
  CHECK(test::reply_of(reads).body == "one\ntwo\n");
  CHECK(server.stop() == 0);
}

TEST_CASE("who follows a job that waits hears of it from its beginning") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1"});
  auto first = server.run({"sleep", "600"});
  auto waits = server.run({"echo", "hello"});
  test::line_client follower(server.port);
  follower.say(server.head("GET", path_of(waits) + "?follow") + "\r\n");
  CHECK(follower.line().starts_with("HTTP/1.1 200"));
  server.ask("DELETE", "/v1/jobs/" + first.id());
  while (follower.line() != "6\r") {
  }
  CHECK(follower.line() == "hello");
  CHECK(server.ended(waits)["exit_code"] == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("a client that takes a large output slowly, or not at all, holds nobody up") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--keep-output", "16M"});
  auto job = server.run({"sh", "-c", "head -c 16777216 /dev/zero | tr '\\0' '\\1'"});
  CHECK(server.ended(job)["stdout"] == json{{"bytes", 16 << 20}, {"cut", nullptr}});
  test::line_client stuck(server.port);
  stuck.say(server.head("GET", path_of(job)) + "\r\n");
  CHECK(stuck.line().starts_with("HTTP/1.1 200"));
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    CHECK(server.ask("GET", "/v1/jobs/" + job.id()).status == 200);
    CHECK(server.ask("GET", "/healthz").status == 200);
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
  CHECK(server.output(job, "stdout") == std::string(16 << 20, '\1'));
  while (stuck.line() != "\r") {
  }
  CHECK(stuck.bytes(16 << 20) == std::string(16 << 20, '\1'));
  CHECK(server.stop() == 0);
}

TEST_CASE(
    "an output that is forgotten while it is read ends the connection, and is not taken for a whole one") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--keep-output", "8M", "--keep", "1"});
  auto job = server.run({"head", "-c", "8388608", "/dev/zero"});
  server.ended(job);
  test::line_client reader(server.port);
  reader.say(server.head("GET", path_of(job)) + "\r\n");
  while (reader.line() != "\r") {
  }
  server.ended(server.run({"true"}));
  CHECK(server.ask("GET", path_of(job)).status == 404);
  auto length = reader.rest().size();
  CHECK_MESSAGE(length < 8 << 20, length);
  CHECK(server.stop() == 0);
}
