// A command, once for each combination of its arguments: one of each list, the last list's changing first.
#include <deque>
#include <utility>
#include <vector>

#include "argument_source.hpp"
#include "command_template.hpp"
#include "job_list.hpp"
#include "words.hpp"

namespace {

// Only the first list is read as it goes; the others are gone through again and again, and so are held.
class argument_jobs : public job_list {
 public:
  argument_jobs(uv_loop_t& loop, const run_settings& settings, const listener& listener)
      : command_(settings.command, settings.arguments.size()), by_shell_(settings.by_shell) {
    if (std::string sign = shell_sign_in(settings.command); !sign.empty() && !by_shell_)
      listener.hinted(no_shell_hint(sign));
    for (const argument_list& list : settings.arguments)
      sources_.emplace_back(loop, list, settings.argument_end, listener.more);
    held_.resize(sources_.size());
    place_.resize(sources_.size());
  }

  std::optional<job> next() override {
    if (!hold_all() || is_over()) return {};
    if (!has_first_) {
      auto first = sources_[0].next();
      if (!first) return {};
      held_[0] = {std::move(*first)};
      has_first_ = true;
    }
    std::vector<std::string> arguments;
    for (std::size_t i = 0; i < held_.size(); ++i) arguments.push_back(held_[i][place_[i]]);
    move_on();
    job made = by_shell_ ? shell_job_of(command_.shell_text(arguments, jobs() + 1))
                         : job_of(command_.words(arguments, jobs() + 1));
    return numbered(std::move(made));
  }

  [[nodiscard]] bool is_over() const override { return is_closed_ || (!has_first_ && sources_[0].is_over()); }

  void close() override {
    is_closed_ = true;
    for (argument_source& source : sources_) source.close();
  }

  [[nodiscard]] std::optional<double> share() const override { return sources_[0].share(); }

 private:
  // The lists behind the first. False: not all of it was read yet.
  bool hold_all() {
    for (; held_lists_ < sources_.size(); ++held_lists_) {
      argument_source& source = sources_[held_lists_];
      while (!source.is_over()) {
        auto argument = source.next();
        if (argument) held_[held_lists_].push_back(std::move(*argument));
        if (!argument && !source.is_over()) return false;
      }
      source.close();
      if (held_[held_lists_].empty()) close();  // no combination has one of these
    }
    return true;
  }

  void move_on() {
    for (std::size_t i = held_.size() - 1; i > 0; --i) {
      if (++place_[i] < held_[i].size()) return;
      place_[i] = 0;
    }
    has_first_ = false;
  }

  command_template command_;
  bool by_shell_;
  std::deque<argument_source> sources_;         // which stay where they are, as they are called back
  std::vector<std::vector<std::string>> held_;  // of the first list the one argument that is on
  std::size_t held_lists_ = 1;
  std::vector<std::size_t> place_;  // of the next combination, in each of them
  bool has_first_ = false;
  bool is_closed_ = false;
};

}  // namespace

std::unique_ptr<job_list> make_argument_jobs(uv_loop_t& loop, const run_settings& settings,
                                             const job_list::listener& listener) {
  return std::make_unique<argument_jobs>(loop, settings, listener);
}
