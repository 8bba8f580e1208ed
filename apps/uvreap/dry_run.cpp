#include "dry_run.hpp"

#include "../shared/visible_text.hpp"
#include "job_object.hpp"

dry_run::dry_run(uv_loop_t& loop, const run_settings& settings, console& console)
    : loop_(loop), settings_(settings), console_(console) {
  console_.on_drained([this] { go_on(); });
}

void dry_run::start() {
  auto hinted = [this](const std::string& what) {
    if (!settings_.quiet) console_.say("uvreap run: " + what + '\n');
  };
  try {
    list_ = make_job_list(loop_, settings_, {.more = [this] { go_on(); }, .hinted = hinted});
  } catch (const list_error& error) {
    return complain(error.what());
  }
  go_on();
}

void dry_run::go_on() {
  while (list_ && !list_->is_over() && !console_.is_behind()) try {
      auto job = list_->next();
      if (!job) break;
      print(*job);
    } catch (const list_error& error) {
      complain(error.what());
    }
  if (list_ && list_->is_over()) list_->close();
}

void dry_run::print(const job& job) try {
  console_.out((settings_.json ? object_of(job).dump() : shell_text(job)) + '\n');
} catch (const nlohmann::json::type_error&) {  // replaced, it would be another command
  complain("job " + std::to_string(job.number) +
           " is no UTF-8, which JSON must be: " + visible_text(job.name));
}

void dry_run::fail(const std::string& what) {
  if (list_) list_->close();
  complain(what);
}

void dry_run::complain(const std::string& what) {
  has_failed_ = true;
  console_.say("uvreap run: " + what + '\n');
}
