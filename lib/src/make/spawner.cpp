#include "make/spawner.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <atomic>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "make/spawns.hpp"
#include "os/claims.hpp"
#include "os/signals_blocked.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

// With the claims it is all that this library keeps for the process; never freed, as its thread never ends.
std::atomic<spawner*> current{nullptr};

// A child that nobody wants, and of which nobody knows but this thread.
void end(const identity& made, bool leads_a_group) noexcept {
  if (made.signal(SIGKILL) != 0) return;  // other code has waited for it
  if (leads_a_group) sys::kill(-made.pid, SIGKILL);
  bool by_pidfd = made.pidfd() >= 0;
  siginfo_t info{};
  auto id = static_cast<id_t>(by_pidfd ? made.pidfd() : made.pid);
  sys::retried(sys::waitid, by_pidfd ? P_PIDFD : P_PID, id, &info, WEXITED | __WALL);
}

// A thread of SCHED_OTHER that is woken may take the processor of the loop that woke it, in the middle of its
// call. So it sleeps as one of SCHED_BATCH, which takes another processor or waits (sched(7)). While it makes
// children it is what it was: a thread of SCHED_BATCH would wait after each exec, too. (Calls of 28 us at p50
// and 198 at p99 held the loop without that, 15 and 50 with it; SCHED_BATCH all the time makes children at
// 0.72 of the rate.)
class politeness {
 public:
  void sleeps() noexcept { is_asleep_ = is_other_ && !is_asleep_ && set(SCHED_BATCH); }
  void wakes() noexcept {
    if (std::exchange(is_asleep_, false)) (void)set(SCHED_OTHER);
  }

 private:
  static bool set(int policy) noexcept {
    constexpr sched_param none{};
    return ::sched_setscheduler(0, policy, &none) == 0;
  }

  const bool is_other_ = ::sched_getscheduler(0) == SCHED_OTHER;  // and not what the program has chosen
  bool is_asleep_ = false;
};

}  // namespace

spawner* spawner::of_this_process() noexcept {
  spawner* here = current.load(std::memory_order_acquire);
  if (here != nullptr && !is_forked_copy(here->generation_)) return here;
  claims* all = claims::of_this_process();
  auto* fresh = all == nullptr ? nullptr : new (std::nothrow) spawner;
  if (fresh == nullptr) return nullptr;
  fresh->generation_ = all->generation();
  if (current.compare_exchange_strong(here, fresh, std::memory_order_acq_rel)) return fresh;
  delete fresh;  // another thread was first
  return here;
}

int spawner::start() noexcept try {
  std::lock_guard held(lock_);
  if (has_thread_) return 0;
  signals_blocked guard;  // for the thread, which inherits it: handlers are for the program's own
  std::thread([this] { run(); }).detach();
  has_thread_ = true;
  return 0;
} catch (const std::system_error&) {
  return UV_EAGAIN;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int spawner::add(std::unique_ptr<order>& one) noexcept {
  {
    std::lock_guard held(lock_);
    child_stdio& stdio = one->ready.stdio;
    if (int error = stdio.take_given(moment::later); error != 0) {
      stdio.close_childs();
      return uv_translate_sys_error(error);
    }
    in_transit_.push_back(stdio);
    waiting_.push_back(*one.release());
  }
  is_asked_.notify_one();
  return 0;
}

int spawner::make_now(prepared_command& one, pid_t* out) noexcept {
  child_stdio& stdio = one.stdio;
  std::unique_lock held(lock_);
  int error = stdio.take_given(moment::now);
  if (error == 0) error = stdio.open_pipes();
  in_transit_.push_back(stdio);
  held.unlock();
  if (error == 0) error = one.make(out);
  held.lock();
  stdio.close_childs();
  error == 0 ? stdio.hand_over() : stdio.close_ours();
  stdio.unlink();
  return error;
}

void spawner::run() noexcept {
  ::pthread_setname_np(::pthread_self(), "uvreap-spawner");
  politeness policy;
  std::unique_lock held(lock_);
  for (;;) {
    if (waiting_.empty()) {
      held.unlock();
      policy.sleeps();
      held.lock();
      is_asked_.wait(held, [this] { return !waiting_.empty(); });
    }
    order& one = *waiting_.pop_front();
    child_stdio& stdio = one.ready.stdio;
    being_made_ = &one;
    pid_t pid = 0;
    int error = stdio.open_pipes();
    held.unlock();
    policy.wakes();
    if (error == 0) error = one.ready.make(&pid);
    if (error == 0) {
      // Known by its birth before other code of this process may wait for it.
      one.made = identity(pid);
      one.pidfd_error = one.made.open();
    }
    held.lock();
    stdio.close_childs();
    if (error != 0 || one.is_cancelled) stdio.close_ours();
    if (!stdio.has_ours()) stdio.unlink();
    if (error == 0 && one.is_cancelled) {
      held.unlock();
      end(one.made, one.what.group != process_group::inherited);
      held.lock();
    }
    one.error = error == 0 ? 0 : uv_translate_sys_error(error);
    being_made_ = nullptr;
    auto whose = one.whose;
    whose->give_back(std::unique_ptr<order>(&one));
  }
}

void spawner::withdrawn(order& one) noexcept {
  one.ready.stdio.close_childs();
  one.ready.stdio.unlink();
  one.error = UV_ECANCELED;
}

void spawner::withdraw_all(const spawns& whose, order_queue& to) noexcept {
  order_queue others;
  while (order* one = waiting_.pop_front()) {
    bool is_one = one->whose.get() == &whose;
    if (is_one) withdrawn(*one);
    (is_one ? to : others).push_back(*one);
  }
  others.move_to_end_of(waiting_);
}

std::unique_ptr<order> spawner::withdraw(const asked& by) noexcept {
  order_queue others;
  std::unique_ptr<order> found;
  while (order* one = waiting_.pop_front()) {
    if (one->by == &by) {
      withdrawn(*one);
      found.reset(one);
    } else {
      others.push_back(*one);
    }
  }
  others.move_to_end_of(waiting_);
  return found;
}

order* spawner::being_made(const spawns& whose) noexcept {
  return being_made_ != nullptr && being_made_->whose.get() == &whose ? being_made_ : nullptr;
}

spawner::pause::pause() noexcept : held_(current.load(std::memory_order_acquire)) {
  if (held_ == nullptr || is_forked_copy(held_->generation_)) {
    held_ = nullptr;  // in a copy it is the parent's, whose lock may be held for ever
  } else {
    lock_ = std::unique_lock(held_->lock_);
  }
}

void spawner::pause::close_descriptors_in_copy() noexcept {
  if (held_ == nullptr) return;
  while (child_stdio* one = held_->in_transit_.pop_front()) {
    one->close_childs();
    one->close_ours();
  }
}

}  // namespace uvreap
