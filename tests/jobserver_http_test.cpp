// uvreap-jobserver and HTTP as it is spoken: pipelined, in chunks, by old clients, through proxies, and by
// those who hope that two servers read a request differently.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using test::http_reply;
using test::job_server;
using test::reply_of;

const std::string order = R"({"argv": ["true"]})";

std::string post_head(const job_server& server, const std::string& lines) {
  return server.head("POST", "/v1/jobs") + "Content-Type: application/json\r\n" + lines + "\r\n";
}

std::string chunked(const std::string& body) {
  char length[20];
  std::snprintf(length, sizeof length, "%zx\r\n", body.size());
  return length + body + "\r\n0\r\n\r\n";
}

// What comes for a request, and whether the server then closes.
std::vector<int> statuses(const job_server& server, const std::string& request) {
  test::line_client client(server.port);
  client.say(request);
  std::vector<int> all;
  for (http_reply reply = reply_of(client); reply.status != 0; reply = reply_of(client)) {
    all.push_back(reply.status);
    if (reply.field("Connection") == "close") break;
  }
  return all;
}

}  // namespace

TEST_CASE("requests that come in one write are answered in their order, with bodies and without") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string get = server.head("GET", "/healthz") + "\r\n";
  std::string post = server.order(order);
  std::string in_chunks = post_head(server, "Transfer-Encoding: chunked\r\n") + chunked(order);
  test::line_client client(server.port);
  client.say(post + post + get + in_chunks + post + get + server.head("DELETE", "/v1/jobs") + "\r\n" + get);
  for (int status : {201, 201, 200, 201, 201, 200, 405, 200}) CHECK(reply_of(client).status == status);
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("a request may come byte by byte") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  test::line_client client(server.port);
  std::string in_chunks = post_head(server, "Transfer-Encoding: chunked\r\n") + chunked(order);
  for (const std::string& request : {server.order(order), in_chunks}) {
    for (char byte : request) client.say(std::string(1, byte));
    CHECK(reply_of(client).status == 201);
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("who waits for 100 gets it before the body, or at once what is wrong") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-body", "1K"});
  std::string expect = "Expect: 100-continue\r\n";
  {
    test::line_client client(server.port);
    client.say(post_head(server, expect + "Content-Length: " + std::to_string(order.size()) + "\r\n"));
    CHECK(reply_of(client).status == 100);
    client.say(order);
    CHECK(reply_of(client).status == 201);
  }
  CHECK(statuses(server, post_head(server, expect + "Content-Length: 1025\r\n")) == std::vector{413});
  auto no_json = server.head("POST", "/v1/jobs") + expect + "Content-Length: 10\r\n\r\n";
  CHECK(statuses(server, no_json) == std::vector{415});
  CHECK(server.stop() == 0);
}

TEST_CASE(
    "a body that is too long is told, be it by its length or in chunks, and one of a wrong request is passed "
    "over") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-body", "1K"});
  CHECK(statuses(server, post_head(server, "Content-Length: 1025\r\n")) == std::vector{413});
  test::line_client client(server.port);
  client.say(post_head(server, "Transfer-Encoding: chunked\r\n") + chunked(std::string(1025, ' ')));
  CHECK(reply_of(client).status == 413);
  client.say(server.head("POST", "/nowhere") + "Content-Length: 5\r\n\r\nhello");
  CHECK(reply_of(client).status == 404);
  client.say(server.head("GET", "/healthz") + "Content-Length: 5\r\n\r\nhello");
  CHECK(reply_of(client).status == 200);
  client.say(server.order(order));
  CHECK(reply_of(client).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a request that a proxy could read otherwise is refused, and nothing behind it is read") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string behind = server.order(order);
  std::string length = "Content-Length: " + std::to_string(order.size()) + "\r\n";
  // But for what is wrong, each would start a job.
  const std::tuple<std::string, std::string, int> all[] = {
      {length + length, order, 400},
      {length + "Content-Length: 0\r\n", order, 400},
      {"Content-Length: 0\r\n" + length, order, 400},
      {length + "Transfer-Encoding: chunked\r\n", chunked(order), 400},
      {"Transfer-Encoding: chunked\r\n" + length, chunked(order), 400},
      {"Transfer-Encoding : chunked\r\n", chunked(order), 400},
      {"Transfer-Encoding\t: chunked\r\n", chunked(order), 400},
      {"Content-Length : 18\r\n", order, 400},
      {"X Y: z\r\n" + length, order, 400},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked(order), 501},
      {"Transfer-Encoding: xchunked\r\n", chunked(order), 501},
      {"Transfer-Encoding: gzip, chunked\r\n", chunked(order), 501},
      {"Transfer-Encoding: identity\r\n", order, 501},
      {"Transfer-Encoding:\r\n", order, 501},
      {length + "Host: other\r\n", order, 400},
      {length + "X: a\x01z\r\n", order, 400},
      {"Content-Length: " + std::string(18, '9') + "\r\n", order, 413},
  };
  for (const auto& each : all) {
    const auto& [lines, body, status] = each;
    CAPTURE(std::get<0>(each));
    CHECK(statuses(server, post_head(server, lines) + body + behind) == std::vector{status});
  }
  for (const char* value : {"-1", "+1", "1 1", "0x10", "1.5", "ten", "1,1", ""}) {
    CAPTURE(value);
    CHECK(statuses(server, post_head(server, std::string("Content-Length: ") + value + "\r\n") + behind) ==
          std::vector{400});
  }
  // The library drops what is folded, and what follows a NUL; since 1.0 it puts the first together.
  std::string nul_behind_length = length;
  nul_behind_length.insert(length.size() - 2, std::string("\0001", 2));
  CHECK(statuses(server, post_head(server, nul_behind_length) + order + behind) == std::vector{400});
  for (const std::string& lines :
       {"Content-Length:\r\n " + std::to_string(order.size()) + "\r\n", length + "Host:\r\n\tother\r\n",
        length + "X: a\r\n b\r\n", length + "Transfer-Encoding:\r\n chunked\r\n"}) {
    CAPTURE(lines);
    auto said = statuses(server, post_head(server, lines) + order + behind);
    CHECK((said == std::vector{400} || said == std::vector{201, 201}));
  }
  std::string old = post_head(server, "Transfer-Encoding: chunked\r\n") + chunked(order);
  CHECK(statuses(server, old.replace(old.find("HTTP/1.1"), 8, "HTTP/1.0")) == std::vector{400});
  CHECK(server.metric("jobserver_jobs_started_total") == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("what the library refuses by itself is answered once, and as all else is") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string cookies = "Cookie: ";
  for (int i = 0; i < 3'000; ++i) cookies += "a;";
  const std::tuple<std::string, int, std::string> all[] = {
      {"Content-Length: x\r\n", 400, "Content-Length is no number"},
      {"Content-Length:\r\n", 400, "Content-Length is no number"},
      {"Content-Length: " + std::string(23, '9') + "\r\n", 413, "the body is longer than 1048576 bytes"},
      {cookies + "\r\n", 431, "the cookies take too much room"},
      {cookies + cookies + "\r\n", 431, "the fields are longer than 8 KiB together"},
  };
  test::line_client under_way(server.port);
  under_way.say("GET /healthz HTTP/1.1\r\n");
  for (const auto& [lines, status, detail] : all) {
    CAPTURE(detail);
    test::line_client client(server.port);
    client.say(server.head("GET", "/healthz") + "\r\n" + post_head(server, lines) + server.order(order));
    CHECK(reply_of(client).status == 200);
    auto reply = reply_of(client);
    CHECK(reply.status == status);
    CHECK(reply.field("Content-Type") == "application/problem+json");
    CHECK(reply.field("Connection") == "close");
    CHECK(reply.field("Date").ends_with(" GMT"));
    CHECK(reply.detail() == detail);
    CHECK(client.rest().empty());
  }
  under_way.say("Host: localhost\r\n\r\n");
  CHECK(reply_of(under_way).status == 200);
  // And where it refuses before the head is there.
  for (const char* text : {"GET /\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "GET / HTTP/1.1\r\nno field\r\n\r\n"}) {
    CAPTURE(text);
    test::line_client client(server.port);
    client.say(text);
    std::string said = client.rest();
    CHECK(said.starts_with("HTTP/1.1 "));
    CHECK(said.find("HTTP/1.1 ", 1) == std::string::npos);
  }
  CHECK(server.metric("jobserver_jobs_started_total") == 0);
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find(": 400 Content-Length is no number") != std::string::npos);
}

TEST_CASE(
    "a line of a chunked body that is longer than all memory for it ends the connection, not the server's "
    "rest") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto began = std::chrono::steady_clock::now();
  std::string endless = "5;" + std::string(60'000, 'a');
  auto said = statuses(server, post_head(server, "Transfer-Encoding: chunked\r\n") + endless);
  CHECK((said.empty() || said == std::vector{400} || said == std::vector{413}));
  // A body has half a minute: so long the library would have turned over it without a pause.
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
  CHECK(server.stop() == 0);
}

TEST_CASE("blanks around a value are no part of it") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string length = "Content-Length:" + std::to_string(order.size()) + "\r\n";
  std::string blanks = "X:   a   \r\nY:\r\nConnection:   close   \r\n";
  CHECK(statuses(server, post_head(server, length + blanks) + order) == std::vector{201});
  CHECK(server.stop() == 0);
}

TEST_CASE("HTTP/1.0 needs no Host, HTTP/1.1 does, and the absolute form brings its own") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  CHECK(server.ask_raw("GET /healthz HTTP/1.0\r\n\r\n").status == 200);
  CHECK(server.ask_raw("GET /healthz HTTP/1.1\r\n\r\n").status == 400);
  CHECK(server.ask_raw("GET /healthz HTTP/1.1\r\nHost: \r\n\r\n").status == 400);
  CHECK(server.ask_raw("GET http://localhost/healthz HTTP/1.1\r\nHost: other.example\r\n\r\n").status == 200);
  CHECK(server.ask_raw("GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200);
  CHECK(server.ask_raw("GET http://other.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 403);
  CHECK(server.ask_raw("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404);
  CHECK(server.stop() == 0);
}

TEST_CASE("an upgrade that is offered is not taken, and no other protocol is understood") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  for (const char* protocol : {"h2c", "websocket", "TLS/1.2"}) {
    auto reply = server.ask_raw(server.head("GET", "/healthz") +
                                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol +
                                "\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n");
    CHECK(reply.status == 200);
  }
  CHECK(statuses(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == std::vector{505});
  CHECK(statuses(server, std::string("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 11)).size() <= 1);  // TLS
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("fields that are too long are told") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  for (std::size_t length : {9'000UL, 40'000UL}) {
    auto request = server.head("GET", "/healthz") + "Cookie: " + std::string(length, 'a') + "\r\n\r\n";
    CHECK(statuses(server, request) == std::vector{431});
  }
  auto request = server.head("GET", "/healthz") + "Cookie: " + std::string(7'000, 'a') + "\r\n\r\n";
  CHECK(server.ask_raw(request).status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("HEAD has the fields of GET, and no body") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto job = server.run({"echo", "hello"});
  server.ended(job);
  for (const std::string& path : {std::string("/"), std::string("/healthz"), "/v1/jobs/" + job.id(),
                                  "/v1/jobs/" + job.id() + "/stdout"}) {
    CAPTURE(path);
    auto got = server.ask("GET", path);
    auto head = server.ask("HEAD", path);
    CHECK(head.status == 200);
    CHECK(head.field("Content-Length") == std::to_string(got.body.size()));
    CHECK(head.field("Content-Type") == got.field("Content-Type"));
  }
  CHECK(server.ask("HEAD", "/v1/events").status == 200);
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE(
    "what a page of another origin loads is refused, Origin or not, but the user may follow its links") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--origin", "https://jobs.example"});
  auto status_of = [&](const std::string& how, const std::string& site, const std::string& more) {
    return server.ask_raw(server.head(how, "/v1/jobs") + "Sec-Fetch-Site: " + site + "\r\n" + more + "\r\n")
        .status;
  };
  const std::string image = "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
  const std::string frame = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n";
  const std::string link = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-User: ?1\r\n";
  for (const char* site : {"cross-site", "same-site"}) {
    CAPTURE(site);
    CHECK(status_of("GET", site, image) == 403);
    CHECK(status_of("HEAD", site, image) == 403);
    CHECK(status_of("GET", site, frame) == 403);
    CHECK(status_of("GET", site, "") == 403);
    CHECK(status_of("GET", site, link) == 200);
    CHECK(status_of("POST", site, link) == 403);
    CHECK(status_of("GET", site, "Sec-Fetch-Mode: cors\r\nOrigin: https://jobs.example\r\n") == 200);
    CHECK(status_of("GET", site, link + "Origin: https://other.example\r\n") == 403);
  }
  CHECK(status_of("GET", "same-origin", image) == 200);
  CHECK(status_of("GET", "none", link) == 200);
  CHECK(status_of("GET", "a-word-of-the-future", image) == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("behind a proxy that speaks TLS the page's own origin is answered, and no other") {
  test::clean_floor floor;
  std::string token = "0123456789abcdef01234567";
  test::scratch_file file(token);
  auto status_of = [](job_server& server, const std::string& host, const std::string& origin) {
    std::string head = "POST /v1/jobs HTTP/1.1\r\nHost: " + host + "\r\nOrigin: " + origin + "\r\n";
    if (!server.token.empty()) head += "Authorization: Bearer " + server.token + "\r\n";
    return server
        .ask_raw(head + "Content-Type: application/json\r\nContent-Length: " + std::to_string(order.size()) +
                 "\r\n\r\n" + order)
        .status;
  };
  {
    job_server server({"--allow-any", "--token-file", file.path});
    server.token = token;
    CHECK(status_of(server, "jobs.example", "https://jobs.example") == 201);
    CHECK(status_of(server, "jobs.example:443", "https://jobs.example") == 201);
    CHECK(status_of(server, "JOBS.example", "https://jobs.example") == 201);
    CHECK(status_of(server, "jobs.example:8443", "https://jobs.example:8443") == 201);
    CHECK(status_of(server, "jobs.example", "https://jobs.example:8443") == 403);
    CHECK(status_of(server, "jobs.example", "https://other.example") == 403);
    CHECK(status_of(server, "jobs.example", "null") == 403);
    CHECK(server.stop() == 0);
  }
  job_server server({"--allow-any", "--origin", "https://jobs.example", "--origin", "https://more.example"});
  CHECK(status_of(server, "localhost", "https://jobs.example") == 201);  // the proxy changed Host
  CHECK(status_of(server, "jobs.example", "https://jobs.example") == 201);
  CHECK(status_of(server, "localhost", "https://more.example") == 201);
  CHECK(status_of(server, "localhost", "https://localhost") == 403);
  CHECK(status_of(server, "other.example", "https://jobs.example") == 403);
  CHECK(server.stop() == 0);
}
