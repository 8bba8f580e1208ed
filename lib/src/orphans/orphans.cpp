#include "orphans/orphans.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <new>
#include <string>

#include "os/proof.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr std::chrono::hours longest_grace{24 * 365 * 100};
constexpr std::uint64_t shortest_between_rounds_ns = 10'000'000;
constexpr std::uint64_t longest_between_rounds_ns = 50'000'000;  // half of what an exit may be told late
constexpr std::size_t many_children = 3000;                      // whose own list is the dearer one

// In clock ticks since boot, field 22 of proc(5)'s stat; 0: not to be had. A number that two processes had in
// turn is told apart by it.
std::uint64_t start_time_of(pid_t pid) {
  if (!proc_has_our_numbers()) return 0;
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  auto end_of_name = text.rfind(')');  // the name may hold anything
  if (end_of_name == std::string::npos) return 0;
  std::uint64_t ticks = 0;
  const char* format = " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu";
  return std::sscanf(text.c_str() + end_of_name + 1, format, &ticks) == 1 ? ticks : 0;
}

}  // namespace

ownership::ownership(uv_loop_t& loop, registry& all, const watch_table& table, ready_list& ready,
                     const options& options, statistics& stats) noexcept
    : loop_(loop),
      registry_(all),
      owner_(all.new_owner()),
      table_(table),
      ready_(ready),
      options_(options),
      stats_(stats) {
  // A hundred years are for ever; more would not fit into nanoseconds.
  auto grace =
      std::chrono::nanoseconds(std::min<std::chrono::milliseconds>(options.unclaimed_grace, longest_grace));
  grace_ns_ = static_cast<std::uint64_t>(grace.count());
  between_rounds_ns_ = std::clamp(grace_ns_ / 4, shortest_between_rounds_ns, longest_between_rounds_ns);
}

void ownership::hear(notice who) noexcept {
  if (who == notice::backend) return;  // it names children that are watched
  if (!round_wanted_ && !has_work()) said_by_ = who;
  round_wanted_ = true;
  if (who == notice::poller) left_alone_round_.ask(who);
}

bool ownership::has_work() const noexcept {
  if (in_round_ || left_alone_round_.under_way()) return true;
  auto next = next_look();
  return next && sys::monotonic_ns() >= *next;
}

std::optional<std::uint64_t> ownership::next_look() const noexcept {
  std::optional<std::uint64_t> next;
  if (round_wanted_) next = round_may_begin();
  if (!by_age_.empty()) {
    std::uint64_t ripe = by_age_.front().second + grace_ns_;
    next = std::min(next.value_or(ripe), ripe);
  }
  return next;
}

std::uint64_t ownership::round_may_begin() const noexcept {
  return last_round_ns_ + (children_ > many_children ? longest_between_rounds_ns : between_rounds_ns_);
}

void ownership::look(budget& budget) noexcept try {
  bool on_main_thread = ::syscall(SYS_gettid) == ::getpid();
  this_thread_only_ = on_main_thread ? __WNOTHREAD : 0;
  uv_processes_.clear();
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void* found) {
        // An ended one keeps its old number, which may be another child's by now.
        if (handle->type != UV_PROCESS || uv_is_active(handle) == 0) return;
        auto* process = reinterpret_cast<uv_process_t*>(handle);
        static_cast<std::vector<pid_t>*>(found)->push_back(uv_process_get_pid(process));
      },
      &uv_processes_);
  std::sort(uv_processes_.begin(), uv_processes_.end());

  forget_the_gone(budget);
  if (round_wanted_ && !in_round_ && sys::monotonic_ns() >= round_may_begin()) begin_round();
  if (in_round_ && !budget.spent()) go_on_with_round(budget);
  take_ripe(budget);
} catch (const std::bad_alloc&) {
  // No memory for a list: what is unclaimed stays a zombie until the next notice or tick.
  in_round_ = false;
  list_.close();
}

std::optional<pid_t> ownership::zombie_among(idtype_t which, id_t id) const noexcept {
  siginfo_t info{};
  int options = WEXITED | WNOHANG | WNOWAIT | this_thread_only_;
  if (sys::waitid(which, id, &info, options) != 0) return {};
  return info.si_pid;
}

void ownership::begin_round() {
  round_wanted_ = false;
  last_round_ns_ = sys::monotonic_ns();
  ++round_;
  in_round_ =
      (children_ > many_children && list_.open_processes()) || list_.open_children(this_thread_only_ != 0);
  children_ = table_.size();
  if (in_round_) return;
  // Without the list: the first zombie, and the next when that one is gone.
  if (pid_t first = zombie_among(P_ALL, 0).value_or(0); first != 0) {
    if (is_claimed(first)) {
      round_wanted_ = true;  // it will be waited for, and nobody says a word then of those behind it
    } else if (!is_left_alone(first)) {
      saw(first);
    }
  }
  end_round();
}

void ownership::go_on_with_round(budget& budget) {
  // One page a pass, whose unknown children each cost a look; what the budget leaves of it comes in the next
  // turn.
  if (page_next_ == page_.size()) {
    page_next_ = 0;
    if (!list_.next_page(page_)) return end_round();
    budget.looked_at_one();  // a page is dear
  }
  while (page_next_ < page_.size() && !budget.spent()) {
    pid_t pid = page_[page_next_++];
    if (is_claimed(pid)) continue;
    std::optional<pid_t> zombie = zombie_among(P_PID, static_cast<id_t>(pid));
    budget.looked_at_one();
    if (!zombie) continue;
    ++children_;
    if (*zombie == pid && !is_left_alone(pid)) saw(pid);  // asked last, as it costs a look at /proc
  }
  if (children_ <= many_children || list_.is_of_processes() || !list_.open_processes()) return;
  page_next_ = page_.size();  // from the beginning: to look again at a few is cheap
  children_ = table_.size();
}

void ownership::end_round() noexcept {
  in_round_ = false;
  list_.close();
  // Taken by their owners, or passed over by a list that shrank while it was read: then the next round finds
  // them.
  if (std::erase_if(sights_, [this](const auto& one) { return one.second.round != round_; }) != 0)
    round_wanted_ = true;
}

void ownership::saw(pid_t pid) {
  auto there = sights_.find(pid);
  if (there != sights_.end()) {
    there->second.round = round_;
    return;
  }
  // In this order: an age without its sight is dropped, a sight without an age would never be ripe.
  std::uint64_t now = sys::monotonic_ns();
  by_age_.emplace_back(pid, now);
  sights_.emplace(pid, sight{now, round_, said_by_});
}

void ownership::take_ripe(budget& budget) {
  for (drop_stale(); !by_age_.empty() && !budget.spent(); drop_stale()) {
    auto [pid, first_ns] = by_age_.front();
    if (sys::monotonic_ns() < first_ns + grace_ns_ || !ready_.make_room()) return;
    notice said_by = sights_.at(pid).said_by;
    by_age_.pop_front();
    sights_.erase(pid);
    if (is_somebodys(pid)) continue;
    take(pid, said_by);
    budget.looked_at_one();
  }
}

void ownership::drop_stale() noexcept {
  while (!by_age_.empty()) {
    auto found = sights_.find(by_age_.front().first);
    if (found != sights_.end() && found->second.first_ns == by_age_.front().second) return;
    by_age_.pop_front();
  }
}

void ownership::take(pid_t pid, notice said_by) {
  // Claimed meanwhile, so that no reaper of another thread is given a child that is being taken.
  if (!registry_.claim(pid, owner_)) return;
  int word = 0;
  ::rusage usage{};
  if (!registry_.collecting(pid, owner_)) return;
  pid_t result = sys::wait4(pid, &word, WNOHANG | this_thread_only_, &usage);
  registry_.collected(pid);
  if (result != pid || !wait_status(word).ended()) return;
  ++stats_.reaped;
  ++stats_.unclaimed;
  round_wanted_ = true;  // a zombie may have come while the list was read
  if (!options_.on_unclaimed) return;
  watch untold;
  untold.tell = [this](const child_exit& exit) { options_.on_unclaimed(exit); };
  ready_.add(
      {.pid = pid, .status = wait_status(word), .usage = resource_usage::from(usage), .noticed_by = said_by},
      std::move(untold));
}

int ownership::exclude(pid_t pid) noexcept try {
  if (look_at(pid) == child_state::none) return 0;  // gone: its number may come back as an orphan's
  if (!left_alone_round_.make_room()) return UV_ENOMEM;
  left_alone_[pid] = start_time_of(pid);
  left_alone_round_.add(pid);
  sights_.erase(pid);
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

void ownership::claimed(pid_t pid) noexcept {
  left_alone_.erase(pid);
  left_alone_round_.remove(pid);
  sights_.erase(pid);
}

void ownership::forget_the_gone(budget& budget) noexcept {
  pid_t pid = 0;
  while (!budget.spent() && left_alone_round_.take({&pid, 1}) == 1) {
    if (look_at(pid) == child_state::none) claimed(pid);
    budget.looked_at_one();
  }
}

bool ownership::is_left_alone(pid_t pid) {
  auto found = left_alone_.find(pid);
  if (found == left_alone_.end()) return false;
  std::uint64_t now = start_time_of(pid);
  // Not to be had (no descriptor left, no /proc) proves nothing, and to take somebody else's child is the
  // worse error.
  if (found->second == 0 || now == 0 || found->second == now) return true;
  claimed(pid);  // it was waited for, and this is a younger one
  return false;
}

bool ownership::is_claimed(pid_t pid) const {
  return table_.has(pid) || registry_.is_claimed(pid) ||
         std::binary_search(uv_processes_.begin(), uv_processes_.end(), pid);
}

bool ownership::is_somebodys(pid_t pid) { return is_claimed(pid) || is_left_alone(pid); }

}  // namespace uvreap
