#include "printer.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>

#include "spool.hpp"
#include "whole_part.hpp"

namespace {

constexpr std::size_t longest_line = 1 << 20;  // that goes straight through; a longer one is broken in two

}  // namespace

class printer::printed : public job_output {
 public:
  printed(printer& all, std::string tag, listener listener)
      : all_(all),
        tag_(std::move(tag)),
        listener_(std::move(listener)),
        pipes_(all.loop_, all.buffer_,
               {.wrote = [this](stream which, std::string_view text) { took(which, text); },
                .noted = listener_.noted}) {}
  ~printed() override { all_.gone(*this); }

  int prepare(uvreap::command& command) override {
    pipes_.prepare(command);
    return 0;
  }

  void begun() override {
    pipes_.begin();
    if (all_.by_line_ && !all_.keeps_order_) speak_directly();
    if (all_.by_line_) all_.go_on();
  }

  void finish(std::function<void()> complete, std::function<void()> said) override {
    said_ = std::move(said);
    pipes_.finish([this, complete = std::move(complete)] {
      complete();  // may begin other jobs, and so have some printed, but not this one yet
      has_ended_ = true;
      all_.want_turn(*this);
    });
  }

  [[nodiscard]] std::uint64_t bytes_out() const override { return pipes_.bytes_out(); }
  [[nodiscard]] int error() const override { return error_; }
  [[nodiscard]] bool has_ended() const { return has_ended_; }
  [[nodiscard]] bool may_speak() const { return has_ended_ || is_full_ || all_.by_line_; }

  // A piece of what is kept; false: there is no more.
  bool say_some() { return say_some(stream::out) || say_some(stream::err); }

  void speak_directly() {
    all_.direct_.insert(this);
    is_full_ = false;
    pipes_.go_on();
  }

  std::optional<turn> has_turn;  // is in turns_

  job_pipes& pipes() { return pipes_; }
  std::function<void()> take_said() { return std::exchange(said_, nullptr); }

 private:
  struct part {
    spool kept;
    std::string line;          // begun, and not said
    bool is_mid_line = false;  // what was said ends there
  };

  part& part_of(stream which) { return parts_[which == stream::out ? 0 : 1]; }

  void took(stream which, std::string_view text) {
    if (all_.direct_.contains(this)) {
      say_lines(which, text);
      return all_.rest_if_behind();
    }
    int error = part_of(which).kept.append(text);
    if (error == 0) return;
    pipes_.hold();
    is_full_ = true;
    if (!std::exchange(all_.has_said_full_, true))
      listener_.noted(std::string("its output cannot be kept (") + uv_strerror(error) +
                      "), so it waits for its turn; so may others");
    all_.want_turn(*this);
  }

  bool say_some(stream which) {
    part& from = part_of(which);
    spool::buffer space;
    int error = 0;
    std::string_view text = from.kept.peek(space, &error);
    if (error != 0) {
      error_ = error;
      listener_.noted(std::string("its output cannot be read again: ") + uv_strerror(error));
    }
    if (text.empty()) {
      if (has_ended_) end_line(which);
      return false;
    }
    if (!has_ended_) {
      say_lines(which, text);
      from.kept.take(text.size());
      return true;
    }
    if (!from.line.empty()) say(which, std::exchange(from.line, {}));
    std::size_t length = whole_part(text);
    if (length == 0) length = text.size();
    say(which, text.substr(0, length));
    from.kept.take(length);
    return true;
  }

  void say_lines(stream which, std::string_view text) {
    std::string& line = part_of(which).line;
    std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
    line += text.substr(0, whole);
    if (whole != 0) say(which, std::exchange(line, {}));
    line += text.substr(whole);
    if (line.size() < longest_line) return;
    std::string rest = line.substr(whole_part(line));
    line.resize(line.size() - rest.size());
    end_line(which);
    line = std::move(rest);
  }

  // The next job would begin in the middle of it.
  void end_line(stream which) {
    part& of = part_of(which);
    if (!of.line.empty()) say(which, std::exchange(of.line, {}));
    if (of.is_mid_line) say(which, "\n");
  }

  void say(stream which, std::string_view text) {
    bool& is_mid_line = part_of(which).is_mid_line;
    if (tag_.empty()) {
      listener_.wrote(which, text);
    } else {
      std::string tagged;
      for (std::size_t at = 0; at < text.size();) {
        std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        if (at != 0 || !is_mid_line) tagged += tag_;
        tagged += text.substr(at, end - at);
        at = end;
      }
      listener_.wrote(which, tagged);
    }
    is_mid_line = text.back() != '\n';
  }

  printer& all_;
  std::string tag_;
  listener listener_;
  job_pipes pipes_;
  std::array<part, 2> parts_;
  std::function<void()> said_;
  bool has_ended_ = false;
  bool is_full_ = false;
  int error_ = 0;
};

printer::printer(uv_loop_t& loop, read_buffer& buffer, console& console, const run_settings& settings)
    : loop_(loop),
      buffer_(buffer),
      console_(console),
      by_line_(settings.output == output_mode::lines),
      keeps_order_(settings.keep_order) {}

std::unique_ptr<job_output> printer::make(turn turn, std::string tag, job_output::listener listener) {
  auto made = std::make_unique<printed>(*this, std::move(tag), std::move(listener));
  if (keeps_order_) {
    made->has_turn = turn;
    turns_[turn] = made.get();
  }
  return made;
}

void printer::expect(turn turn) {
  if (keeps_order_) turns_.try_emplace(turn, nullptr);
}

void printer::dismiss(turn turn) {
  turns_.erase(turn);
  go_on();
}

void printer::want_turn(printed& one) {
  if (!one.has_turn) {
    one.has_turn = {.job = ++tickets_};
    turns_[*one.has_turn] = &one;
  }
  go_on();
}

void printer::go_on() {
  if (is_printing_) return;  // said() may begin a job, and that one's end comes back here
  is_printing_ = true;
  while (!turns_.empty() && !console_.is_behind()) {
    printed* first = turns_.begin()->second;
    if (first == nullptr || !first->may_speak()) break;
    if (first->say_some()) continue;
    if (!first->has_ended()) {
      first->speak_directly();
      break;
    }
    turns_.erase(turns_.begin());
    first->has_turn.reset();
    first->take_said()();
  }
  is_printing_ = false;
  if (console_.is_behind()) return rest_if_behind();
  for (printed* one : direct_) one->pipes().go_on();
}

void printer::rest_if_behind() {
  if (!console_.is_behind()) return;
  for (printed* one : direct_) one->pipes().hold();
}

void printer::gone(printed& one) {
  if (one.has_turn) turns_.erase(*one.has_turn);
  direct_.erase(&one);
}
