// A headless Chromium, spoken to over its DevTools protocol on a pair of pipes.
//
//     test::browser browser("/usr/bin/chromium");
//     browser.open("http://localhost:8080/");
//     browser.until("document.title === 'ready'");
//     browser.press("Tab");
//     browser.show(390, 844, true);
//     browser.screenshot("page.png");
//     CHECK(browser.complaints() == "");
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace test {

class browser {
  using json = nlohmann::json;

 public:
  explicit browser(const char* program) {
    REQUIRE(::mkdtemp(profile_.data()) != nullptr);
    int to[2], from[2];
    REQUIRE(::pipe2(to, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(from, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) become(program, to[0], from[1]);
    ::setpgid(pid_, pid_);  // here as in the child: whichever comes first
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
    auto target = ask("Target.createTarget", {{"url", "about:blank"}});
    auto attached = ask("Target.attachToTarget", {{"targetId", target["targetId"]}, {"flatten", true}});
    session_ = attached["sessionId"];
    for (const char* domain : {"Page", "Runtime", "Log"})
      ask(std::string(domain) + ".enable", json::object());
  }

  ~browser() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(to_);
    ::close(from_);
    std::error_code ignored;
    std::filesystem::remove_all(profile_, ignored);
  }
  browser(const browser&) = delete;
  browser& operator=(const browser&) = delete;

  void open(const std::string& url) {
    ask("Page.navigate", {{"url", url}});
    REQUIRE(until("location.href !== 'about:blank' && document.readyState === 'complete'"));
  }

  // What the console has of errors and warnings: a line each.
  [[nodiscard]] const std::string& complaints() const { return complaints_; }

  // What a JavaScript expression comes to.
  json value(const std::string& expression) {
    auto answer = ask("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}});
    REQUIRE_MESSAGE(!answer.contains("exceptionDetails"), answer.dump());
    return answer["result"].value("value", json());
  }

  // False: it did not become true in half a minute.
  bool until(const std::string& expression) {
    for (int tries = 0; tries < 600; ++tries) {
      if (value(expression) == true) return true;
      ::usleep(50'000);
    }
    return false;
  }

  // As a window of that size has it, in CSS pixels.
  void show(int width, int height, bool dark = false) {
    ask("Emulation.setDeviceMetricsOverride",
        {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
    json scheme{{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}};
    ask("Emulation.setEmulatedMedia", {{"features", json::array({scheme})}});
  }

  // As a keyboard does: a key by its name ("Tab", "Enter", "ArrowRight"), or text into what has the focus.
  void press(const std::string& key, bool with_shift = false) {
    static const std::map<std::string, int> codes{
        {"Tab", 9}, {"Enter", 13}, {" ", 32}, {"ArrowRight", 39}, {"ArrowDown", 40}};
    json order{{"type", "keyDown"},
               {"key", key},
               {"code", key == " " ? "Space" : key},
               {"windowsVirtualKeyCode", codes.at(key)},
               {"modifiers", with_shift ? 8 : 0}};
    if (key == "Enter") order["text"] = "\r";
    if (key == " ") order["text"] = " ";
    ask("Input.dispatchKeyEvent", order);
    order["type"] = "keyUp";
    order.erase("text");
    ask("Input.dispatchKeyEvent", order);
  }
  void type(const std::string& text) { ask("Input.insertText", {{"text", text}}); }

  void screenshot(const std::string& file) {
    std::string text = ask("Page.captureScreenshot", {{"format", "png"}})["data"];
    std::ofstream(file, std::ios::binary) << from_base64(text);
  }

 private:
  [[noreturn]] void become(const char* program, int in, int out) const {
    ::setpgid(0, 0);
    // Above what they are moved to, or one move would close the other's source.
    in = ::fcntl(in, F_DUPFD_CLOEXEC, 10);
    out = ::fcntl(out, F_DUPFD_CLOEXEC, 10);
    int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int descriptor : {0, 1, 2}) ::dup2(nowhere, descriptor);
    ::dup2(in, 3);
    ::dup2(out, 4);
    std::string profile = "--user-data-dir=" + profile_;
    ::execl(program, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-pipe", "--window-size=1100,1000", profile.c_str(), nullptr);
    ::_exit(127);
  }

  json ask(const std::string& method, json parameters) {
    json order{{"id", ++last_id_}, {"method", method}, {"params", std::move(parameters)}};
    if (!session_.empty()) order["sessionId"] = session_;
    std::string text = order.dump();
    REQUIRE(::write(to_, text.c_str(), text.size() + 1) == static_cast<ssize_t>(text.size() + 1));
    for (;;) {
      auto message = json::parse(next_message());
      hear(message);
      if (message.value("id", 0) != last_id_) continue;
      REQUIRE_MESSAGE(message.contains("result"), message.dump());
      return message["result"];
    }
  }

  void hear(const json& message) {
    std::string what = message.value("method", "");
    if (what == "Runtime.exceptionThrown") {
      complaints_ += message["params"]["exceptionDetails"].dump() + '\n';
    } else if (what == "Log.entryAdded") {
      const auto& entry = message["params"]["entry"];
      if (entry["level"] != "info" && entry["level"] != "verbose") {
        complaints_ += entry.value("text", "") + ' ' + entry.value("url", "") + '\n';
      }
    } else if (what == "Runtime.consoleAPICalled") {
      complaints_ += message["params"].dump() + '\n';
    }
  }

  // Each ends with a NUL.
  std::string next_message() {
    auto end = read_.find('\0');
    while (end == std::string::npos) {
      pollfd ready{.fd = from_, .events = POLLIN, .revents = 0};
      REQUIRE_MESSAGE(::poll(&ready, 1, 60'000) == 1, "the browser does not answer");
      char part[65536];
      ssize_t length = ::read(from_, part, sizeof part);
      REQUIRE_MESSAGE(length > 0, "the browser is gone");
      read_.append(part, static_cast<std::size_t>(length));
      end = read_.find('\0');
    }
    std::string message = read_.substr(0, end);
    read_.erase(0, end + 1);
    return message;
  }

  static std::string from_base64(const std::string& text) {
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    unsigned held = 0;
    int bits = 0;
    for (char letter : text) {
      auto digit = digits.find(letter);
      if (digit == std::string::npos) break;
      held = held << 6 | static_cast<unsigned>(digit);
      bits += 6;
      if (bits < 8) continue;
      bits -= 8;
      bytes += static_cast<char>(held >> bits & 0xff);
    }
    return bytes;
  }

  std::string profile_ = "/tmp/uvreap-browser-XXXXXX";
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
  int last_id_ = 0;
  std::string session_;
  std::string complaints_;
  std::string read_;
};

}  // namespace test
