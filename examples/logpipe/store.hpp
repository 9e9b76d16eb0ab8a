// The database: the lines, and with them the position in the log up to which they are stored.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <runnel/runtime.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tail.hpp"

struct record {
  std::string time, level, message;
  bool is_wanted = false;
  bool ends_chunk = false;
  position end;  // where the next line begins
};

struct deleter {
  void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
  void operator()(sqlite3_stmt* sql) const noexcept { sqlite3_finalize(sql); }
};

class database {
 public:
  explicit database(const fs::path& path) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open(path.c_str(), &opened);
    db_.reset(opened);
    check(code);
    check(sqlite3_busy_timeout(db_.get(), 10'000));  // for whoever reads it meanwhile
  }
  void run(const char* sql) { check(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr)); }
  [[nodiscard]] sqlite3* get() const noexcept { return db_.get(); }
  void check(int code) const {
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
      throw std::runtime_error(std::string("the database: ") + (db_ ? sqlite3_errmsg(db_.get()) : sqlite3_errstr(code)));
  }

 private:
  std::unique_ptr<sqlite3, deleter> db_;
};

class statement {
 public:
  statement(database& db, std::string_view sql) : db_(db) {
    sqlite3_stmt* made = nullptr;
    db.check(sqlite3_prepare_v2(db.get(), sql.data(), static_cast<int>(sql.size()), &made, nullptr));
    sql_.reset(made);
  }
  // Runs it with these values. Returns whether there is a row, whose columns number() answers.
  template <class... Values>
  bool run(const Values&... values) {
    db_.check(sqlite3_reset(sql_.get()));
    int place = 0;
    (bind(++place, values), ...);
    const int code = sqlite3_step(sql_.get());
    db_.check(code);
    if (code == SQLITE_DONE) db_.check(sqlite3_reset(sql_.get()));
    return code == SQLITE_ROW;
  }
  [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(sql_.get(), column); }

 private:
  void bind(int place, std::int64_t value) { db_.check(sqlite3_bind_int64(sql_.get(), place, value)); }
  void bind(int place, const std::string& value) {  // which lives until the statement has run
    db_.check(sqlite3_bind_text(sql_.get(), place, value.data(), static_cast<int>(value.size()), nullptr));
  }

  database& db_;
  std::unique_ptr<sqlite3_stmt, deleter> sql_;
};

class store {
 public:
  store(const fs::path& path, const fs::path& log) : db_(path), log_(log.string()) {
    db_.run("PRAGMA journal_mode = WAL");
    db_.run("CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, time TEXT, level TEXT, message TEXT)");
    db_.run("CREATE TABLE IF NOT EXISTS progress (log TEXT PRIMARY KEY, file INTEGER, offset INTEGER)");
    insert_.emplace(db_, "INSERT INTO lines (time, level, message) VALUES (?, ?, ?)");
    advance_.emplace(db_, "UPDATE progress SET file = ?, offset = ? WHERE log = ? AND file = ? AND offset = ?");
    statement(db_, "INSERT OR IGNORE INTO progress VALUES (?, 0, 0)").run(log_);
    statement where(db_, "SELECT file, offset FROM progress WHERE log = ?");
    where.run(log_);
    at_ = {where.number(0), where.number(1)};
  }
  // Up to where the log is stored.
  [[nodiscard]] position at() const noexcept { return at_; }

  // Stores some lines and the position behind them, or nothing: whenever this program ends, by whatever, the position that is found
  // next time is the one that belongs to the lines.
  void add(const std::vector<record>& batch) {
    const runnel::blocking_region waiting_for_the_disk;
    db_.run("BEGIN IMMEDIATE");
    for (const record& line : batch)
      if (line.is_wanted) insert_->run(line.time, line.level, line.message);
    const position next = batch.back().end;
    advance_->run(next.file, next.offset, log_, at_.file, at_.offset);
    if (sqlite3_changes(db_.get()) != 1) throw std::runtime_error("the database: another logpipe stores the same log");
    db_.run("COMMIT");
    at_ = next;
  }

 private:
  database db_;  // closing it takes back what is not committed
  std::string log_;
  std::optional<statement> insert_, advance_;
  position at_;
};
