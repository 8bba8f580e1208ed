#include "events.hpp"

#include <algorithm>
#include <deque>
#include <utility>

namespace {

constexpr std::size_t most_waiting = 1000;

std::string framed(const char* event, const std::string& line) {
  return std::string("event: ") + event + "\ndata: " + line + '\n';
}

}  // namespace

class events::listener final : public body_stream {
 public:
  explicit listener(events& all) : all_(all) { all_.listeners_.insert(this); }
  ~listener() override { all_.listeners_.erase(this); }

  ssize_t read(char* room, std::size_t size) override {
    if (at_ == going_.size() && !next()) return all_.is_over_ ? end : 0;
    std::size_t length = going_.copy(room, size, at_);
    at_ += length;
    return static_cast<ssize_t>(length);
  }

  void tell(const std::shared_ptr<const std::string>& event) {
    if (waiting_.size() == most_waiting) {
      waiting_.pop_front();
      ++dropped_;
      ++all_.dropped_;
    }
    waiting_.push_back(event);
    wake();
  }

  [[nodiscard]] bool is_told() const { return at_ == going_.size() && waiting_.empty(); }

 private:
  bool next() {
    at_ = 0;
    going_.clear();
    if (std::uint64_t count = std::exchange(dropped_, 0); count > 0) {
      going_ = framed("dropped", "{\"count\":" + std::to_string(count) + "}\n");
    } else if (!waiting_.empty()) {
      going_ = *waiting_.front();
      waiting_.pop_front();
    }
    return !going_.empty();
  }

  events& all_;
  // The first bytes tell the client that it listens, and how soon it may come back.
  std::string going_ = "retry: 1000\n\n";
  std::size_t at_ = 0;
  std::deque<std::shared_ptr<const std::string>> waiting_;  // each is one for all clients
  std::uint64_t dropped_ = 0;
};

void events::tell(const char* event, const std::string& line) {
  if (listeners_.empty()) return;
  auto text = std::make_shared<const std::string>(framed(event, line));
  for (listener* each : listeners_) each->tell(text);
}

std::unique_ptr<body_stream> events::listen() { return std::make_unique<listener>(*this); }

bool events::is_idle() const {
  return std::all_of(listeners_.begin(), listeners_.end(),
                     [](const listener* each) { return each->is_told(); });
}

void events::end() {
  is_over_ = true;
  for (listener* each : listeners_) each->wake();
}
