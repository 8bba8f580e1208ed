#include "store.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>

namespace {

using json = job::json;

// ended counts the ends; it is null for jobs that wait or run. Without full, brief is all there is to tell.
constexpr const char* schema =
    "CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ended INTEGER,"
    " bytes INTEGER NOT NULL, brief TEXT NOT NULL, full TEXT) STRICT;"
    "CREATE INDEX IF NOT EXISTS by_end ON jobs (ended);"
    "CREATE TABLE IF NOT EXISTS outputs (number INTEGER, stream INTEGER, at INTEGER, bytes BLOB NOT NULL,"
    " PRIMARY KEY (number, stream, at)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1";

constexpr std::size_t row_bytes = 200;  // of a row, beside its texts

int number_of(stream which) { return static_cast<int>(which); }

// A job as it is written down.
struct record {
  record() = default;
  explicit record(const json& all) : brief(text_of(all)) {
    if (!job::is_brief(all)) full = std::exchange(brief, text_of(job::brief_of(all)));
  }

  std::string brief;
  std::optional<std::string> full;
};

}  // namespace

class store::database {
 public:
  // One statement, from its first bind to its last row.
  class query {
   public:
    query(database& database, const char* text) : statement_(database.prepared(text)) {}
    ~query() { sqlite3_reset(statement_); }
    query(const query&) = delete;
    query& operator=(const query&) = delete;

    template <class... Values>
    query& with(const Values&... values) {
      int at = 0;
      (bind(++at, values), ...);
      return *this;
    }
    [[nodiscard]] bool next() { return sqlite3_step(statement_) == SQLITE_ROW; }
    [[nodiscard]] bool run() { return sqlite3_step(statement_) == SQLITE_DONE; }

    [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
    [[nodiscard]] std::string_view bytes(int column) const {
      const void* begin = sqlite3_column_blob(statement_, column);
      auto length = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
      return {static_cast<const char*>(begin), length};
    }
    [[nodiscard]] std::string text(int column) const { return std::string(bytes(column)); }

   private:
    void bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
    void bind(int at, std::size_t value) { bind(at, static_cast<std::int64_t>(value)); }
    void bind(int at, int value) { bind(at, std::int64_t{value}); }
    void bind(int at, const std::string& text) {
      sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    void bind(int at, const std::optional<std::string>& text) {
      if (text) bind(at, *text);
      if (!text) sqlite3_bind_null(statement_, at);
    }
    void bind(int at, std::string_view bytes) {
      sqlite3_bind_blob64(statement_, at, bytes.data(), bytes.size(), SQLITE_STATIC);
    }

    sqlite3_stmt* statement_;  // null where it could not be prepared: every step then fails
  };

  explicit database(const std::string& path) { sqlite3_open(path.c_str(), &handle_); }
  ~database() {
    for (const auto& [text, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(handle_);
  }
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  [[nodiscard]] bool execute(const char* text) {
    return sqlite3_exec(handle_, text, nullptr, nullptr, nullptr) == SQLITE_OK;
  }
  [[nodiscard]] const char* wrong() const { return sqlite3_errmsg(handle_); }

 private:
  // The texts are literals, known by their address.
  sqlite3_stmt* prepared(const char* text) {
    auto [found, is_new] = statements_.try_emplace(text, nullptr);
    if (found->second == nullptr) {
      sqlite3_prepare_v3(handle_, text, -1, SQLITE_PREPARE_PERSISTENT, &found->second, nullptr);
    }
    return found->second;
  }

  sqlite3* handle_ = nullptr;
  std::map<const char*, sqlite3_stmt*> statements_;
};

store::store() = default;

store::~store() {
  if (!is_in_memory()) (void)database_->execute("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)");
  database_.reset();
  if (lock_ >= 0) ::close(lock_);
}

std::string store::open(const std::string& directory, limits limits) {
  limits_ = limits;
  if (!directory.empty()) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return directory + ": " + std::strerror(errno);
    }
    lock_ = ::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) return directory + "/lock: " + std::strerror(errno);
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) return directory + ": another server uses it";
    path_ = directory + "/jobs.sqlite";
    // Made before SQLite makes it for all to read; its log file has the same mode.
    int made = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0) return path_ + ": " + std::strerror(errno);
    ::close(made);
  }
  database_ = std::make_unique<database>(is_in_memory() ? ":memory:" : path_);
  // A commit goes into the log file, and to the disk with the next checkpoint, which is sync()'s. Whatever
  // the power's end leaves of the log, frames that do not belong together are not read (checksums and salt),
  // so that the state of some commit since the last sync is found.
  bool is_open = database_->execute(
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0") &&
                 database_->execute(schema);
  if (!is_open) {
    std::string wrong = path_ + ": " + database_->wrong();
    path_.clear();
    return wrong;
  }
  return end_what_was_lost();
}

std::string store::end_what_was_lost() {
  {
    database::query all(*database_,
                        "SELECT max(number), max(ended), count(ended), total(bytes * (ended IS NOT NULL))"
                        " FROM jobs");
    if (!all.next()) return path_ + ": " + database_->wrong();
    last_number_ = all.number(0);
    last_end_ = all.number(1);
    kept_ = static_cast<std::size_t>(all.number(2));
    kept_bytes_ = static_cast<std::size_t>(all.number(3));
  }
  std::vector<found> open_jobs;
  {
    database::query open(*database_,
                         "SELECT number, coalesce(full, brief) FROM jobs WHERE ended IS NULL ORDER BY id");
    while (open.next()) open_jobs.push_back({open.number(0), open.text(1)});
  }
  for (const found& one : open_jobs) {
    json lost = json::parse(one.text, nullptr, false);
    if (!lost.is_object()) return path_ + ": a job cannot be read";
    bool ran = lost["state"] == "running";
    lost["state"] = "ended";
    lost["end"] = ran ? "lost" : "canceled";
    lost["status"] = ran ? "lost: the server died while it ran" : "canceled: the server died while it waited";
    lost["position"] = nullptr;
    lost["stdout"]["bytes"] = length(one.number, stream::output);
    lost["stderr"]["bytes"] = length(one.number, stream::error_output);
    if (!end(one.number, lost)) return path_ + ": " + wrong_;
    lost_.push_back({lost["id"], lost["status"]});
  }
  return forget() ? "" : path_ + ": " + wrong_;
}

std::string store::newest_id() const {
  database::query newest(*database_, "SELECT max(id) FROM jobs");
  return newest.next() ? newest.text(0) : "";
}

bool store::fail() {
  wrong_ = database_->wrong();
  return false;
}

bool store::begin(job& job) {
  record written = is_in_memory() ? record() : record(job.full());
  database::query insert(*database_, "INSERT INTO jobs VALUES (?, ?, NULL, 0, ?, ?)");
  if (!insert.with(last_number_ + 1, job.id, written.brief, written.full).run()) return fail();
  job.number = ++last_number_;
  is_unsynced_ = true;
  return true;
}

bool store::update(const job& job) {
  if (is_in_memory()) return true;
  record written(job.full());
  database::query update(*database_, "UPDATE jobs SET brief = ?, full = ? WHERE number = ?");
  is_unsynced_ = true;
  return update.with(written.brief, written.full, job.number).run() || fail();
}

bool store::append(std::int64_t number, stream which, std::size_t at, std::string_view bytes) {
  database::query insert(*database_, "INSERT INTO outputs VALUES (?, ?, ?, ?)");
  is_unsynced_ = true;
  return insert.with(number, number_of(which), at, bytes).run() || fail();
}

bool store::end(const job& job) {
  if (!end(job.number, job.full())) return false;
  (void)forget();  // what it could not, the next one does
  return true;
}

bool store::end(std::int64_t number, const json& job) {
  record written(job);
  std::size_t bytes = row_bytes + written.brief.size() + (written.full ? written.full->size() : 0);
  for (stream which : {stream::output, stream::error_output}) {
    if (job[which == stream::output ? "stdout" : "stderr"]["bytes"] == 0) continue;
    database::query pieces(*database_, "SELECT count(*) FROM outputs WHERE number = ? AND stream = ?");
    if (!pieces.with(number, number_of(which)).next()) return fail();
    bytes += static_cast<std::size_t>(pieces.number(0)) * row_bytes + length(number, which);
  }
  database::query update(*database_,
                         "UPDATE jobs SET ended = ?, bytes = ?, brief = ?, full = ? WHERE number = ?");
  if (!update.with(last_end_ + 1, bytes, written.brief, written.full, number).run()) return fail();
  ++last_end_;
  ++kept_;
  kept_bytes_ += bytes;
  is_unsynced_ = true;
  return true;
}

bool store::erase(const job& job) {
  database::query jobs(*database_, "DELETE FROM jobs WHERE number = ?");
  return jobs.with(job.number).run() || fail();
}

bool store::forget() {
  while (kept_ > limits_.jobs || kept_bytes_ > limits_.bytes) {
    std::int64_t number = 0;
    std::size_t bytes = 0;
    {
      database::query first(*database_,
                            "SELECT number, bytes FROM jobs WHERE ended IS NOT NULL ORDER BY ended LIMIT 1");
      if (!first.next()) return true;
      number = first.number(0);
      bytes = static_cast<std::size_t>(first.number(1));
    }
    database::query outputs(*database_, "DELETE FROM outputs WHERE number = ?");
    database::query jobs(*database_, "DELETE FROM jobs WHERE number = ?");
    if (!outputs.with(number).run() || !jobs.with(number).run()) return fail();
    --kept_;
    kept_bytes_ -= std::min(bytes, kept_bytes_);
  }
  return true;
}

std::optional<store::found> store::find(const std::string& id) const {
  database::query job(*database_, "SELECT number, coalesce(full, brief) FROM jobs WHERE id = ?");
  if (!job.with(id).next()) return {};
  return found{job.number(0), job.text(1)};
}

std::vector<store::row> store::page(const std::string& after, int limit) const {
  database::query page(*database_, "SELECT id, brief FROM jobs WHERE id > ? ORDER BY id LIMIT ?");
  page.with(after, limit);
  std::vector<row> rows;
  while (page.next()) rows.push_back({page.text(0), page.text(1)});
  return rows;
}

std::size_t store::read(std::int64_t number, stream which, std::size_t at, char* room,
                        std::size_t size) const {
  database::query piece(*database_,
                        "SELECT at, bytes FROM outputs WHERE number = ? AND stream = ? AND at <= ?"
                        " ORDER BY at DESC LIMIT 1");
  if (!piece.with(number, number_of(which), at).next()) return 0;
  std::string_view bytes = piece.bytes(1);
  std::size_t skipped = at - static_cast<std::size_t>(piece.number(0));
  if (skipped >= bytes.size()) return 0;
  return bytes.copy(room, size, skipped);
}

std::size_t store::length(std::int64_t number, stream which) const {
  database::query last(*database_,
                       "SELECT at + length(bytes) FROM outputs WHERE number = ? AND stream = ?"
                       " ORDER BY at DESC LIMIT 1");
  return last.with(number, number_of(which)).next() ? static_cast<std::size_t>(last.number(0)) : 0;
}

// On a connection of its own, in another thread: the loop's goes on writing meanwhile. What it could not do,
// the next one does.
void store::sync(uv_loop_t& loop) {
  if (is_in_memory() || !is_unsynced_ || is_syncing_) return;
  syncing_.data = this;
  auto work = [](uv_work_t* request) {
    database other(static_cast<store*>(request->data)->path_);
    (void)other.execute("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(PASSIVE)");
  };
  auto done = [](uv_work_t* request, int) { static_cast<store*>(request->data)->is_syncing_ = false; };
  if (uv_queue_work(&loop, &syncing_, work, done) != 0) return;
  is_syncing_ = true;
  is_unsynced_ = false;
}
