// Where jobs are written down, with what they wrote: an SQLite database, in memory or in a directory.
//
//     store store;
//     std::string wrong = store.open("/var/lib/uvreap-jobserver", {.jobs = 1000, .bytes = 64 << 20});
//     store.begin(job);
//     store.append(job.number, stream::output, 0, "hello\n");
//     store.end(job);
//
// In a directory a job is in the operating system's hands when the call has returned: it is still there when
// the server is killed. The disk has it at the latest a second later (sync); no call here waits for a disk.
//
// Calls that write answer false if that failed: the disk is full or broken. wrong() says how; nothing
// changed then.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job.hpp"

class store {
 public:
  // Of jobs that have ended; beyond, the first to end are forgotten first.
  struct limits {
    std::size_t jobs;
    std::size_t bytes;
  };
  struct row {
    std::string id;
    std::string text;  // JSON, a line
  };

  store();
  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  // Empty directory: in memory. The answer is empty, or why it cannot be used. Jobs that ran or waited when
  // the server died are ended in here, and listed in lost().
  [[nodiscard]] std::string open(const std::string& directory, limits);
  [[nodiscard]] const std::vector<row>& lost() const { return lost_; }
  [[nodiscard]] std::string newest_id() const;  // empty: there is none

  // In memory a job is there when it has ended, and until then its number, id and output: what else there is
  // to tell of it, it tells itself.
  bool begin(job&);         // gives it its number
  bool update(const job&);  // it was started
  bool append(std::int64_t number, stream, std::size_t at, std::string_view bytes);
  bool end(const job&);
  bool erase(const job&);  // as if it had never begun
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  struct found {
    std::int64_t number;
    std::string text;
  };
  [[nodiscard]] std::optional<found> find(const std::string& id) const;

  // By id, greater than after; as they were written down last, with argv no longer than a line.
  [[nodiscard]] std::vector<row> page(const std::string& after, int limit) const;

  // What was kept from there on, as far as one piece goes and there is room. 0: nothing is there.
  std::size_t read(std::int64_t number, stream, std::size_t at, char* room, std::size_t size) const;
  [[nodiscard]] std::size_t length(std::int64_t number, stream) const;

  [[nodiscard]] std::size_t kept() const { return kept_; }  // jobs that have ended
  [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }

  // Has libuv's thread pool bring to the disk what was written, if anything was.
  void sync(uv_loop_t&);

 private:
  class database;
  [[nodiscard]] bool is_in_memory() const { return path_.empty(); }
  std::string end_what_was_lost();
  bool end(std::int64_t number, const job::json&);
  bool forget();
  bool fail();

  std::unique_ptr<database> database_;
  std::string path_;  // empty: in memory
  int lock_ = -1;
  limits limits_{};
  std::vector<row> lost_;
  std::int64_t last_number_ = 0;
  std::int64_t last_end_ = 0;
  std::size_t kept_ = 0;
  std::size_t kept_bytes_ = 0;
  bool is_unsynced_ = false;
  bool is_syncing_ = false;
  uv_work_t syncing_{};
  std::string wrong_;
};
