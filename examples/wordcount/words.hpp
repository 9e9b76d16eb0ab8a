// What wordcount does with folders, with one file and with tables of words: nothing here runs beside anything else.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <runnel/context.hpp>
#include <runnel/runtime.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fs = std::filesystem;

struct hash_of_word : std::hash<std::string_view> {
  using is_transparent = void;  // a word of a file is looked up without a string of its own
};
using table = std::unordered_map<std::string, std::uint64_t, hash_of_word, std::equal_to<>>;

struct entry {
  fs::path path;
  fs::file_type type;
  std::error_code error;  // why it could not be looked at
};

// Answers what is under some folders and is no folder itself, one entry a call; nothing at the end. Links are not followed, but for
// those that the command line names. (std::filesystem::recursive_directory_iterator would end at the first folder that cannot be read.)
class tree {
 public:
  explicit tree(const std::vector<std::string>& folders) : left_(folders.rbegin(), folders.rend()), named_(left_.size()) {}

  std::optional<entry> operator()() {
    while (!left_.empty()) {
      fs::path path = std::move(left_.back());
      left_.pop_back();
      const bool is_named = left_.size() < named_;
      named_ = std::min(named_, left_.size());

      std::error_code error;
      const fs::file_type type = (is_named ? fs::status(path, error) : fs::symlink_status(path, error)).type();
      if (!error && type == fs::file_type::directory)
        for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) left_.push_back(it->path());
      else if (!error && is_named && type != fs::file_type::regular)
        error = std::make_error_code(std::errc::not_supported);
      if (error || type != fs::file_type::directory) return entry{std::move(path), type, error};
    }
    return std::nullopt;
  }

 private:
  std::vector<fs::path> left_;  // the last one is next: a folder's entries, above those of the folder that it is in
  std::size_t named_;           // how many of the first ones the command line names
};

// Letters, digits, underscores, and all bytes of characters that are not ASCII.
inline bool is_of_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 128;
}

class word_counter {
 public:
  explicit word_counter(table& words) : words_(words) {}
  word_counter(const word_counter&) = delete;
  word_counter& operator=(const word_counter&) = delete;
  ~word_counter() { end_word(); }  // also what stands at the end of a file without a newline

  void add(std::string_view text) {
    while (!text.empty()) {
      const auto length = static_cast<std::size_t>(std::ranges::find_if_not(text, is_of_word) - text.begin());
      word_.append(text.substr(0, std::min(length, longest - word_.size())));
      if (length == text.size()) return;  // the word may go on in what is read next
      end_word();
      text.remove_prefix(length + 1);
    }
  }

 private:
  static constexpr std::size_t longest =
      255;  // of a longer word, so many bytes count: a file without spaces needs no memory either

  void end_word() {
    if (word_.empty()) return;
    if (const auto known = words_.find(std::string_view(word_)); known != words_.end())
      ++known->second;
    else
      words_.emplace(word_, 1);
    word_.clear();
  }

  table& words_;
  std::string word_;
};

// Adds the words of one file to a table. Returns why it could not be read to its end; what was read counts. Stops when the context is
// done: whoever waits for the tables learns of that from the context.
inline std::error_code count_words(const runnel::context& ctx, const fs::path& path, table& words) {
  const std::unique_ptr<std::FILE, decltype([](std::FILE* f) { std::fclose(f); })> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return {errno, std::generic_category()};
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  static thread_local char buffer[64 * 1024];
  word_counter counter(words);
  const auto read = [&] {
    const runnel::blocking_region waiting_for_the_disk;  // others run meanwhile: N files are in work on any number of cores
    return std::fread(buffer, 1, sizeof buffer, file.get());
  };
  while (const std::size_t got = read()) {
    if (ctx.done()) return {};
    counter.add({buffer, got});
  }
  if (std::ferror(file.get()) != 0) return {errno, std::generic_category()};
  return {};
}

inline void merge(table& all, table&& some) {
  if (all.size() < some.size()) std::swap(all, some);  // the smaller one is gone through
  for (auto& [word, count] : some) all[word] += count;
}

// The most frequent words first, words of the same count by their bytes.
inline std::vector<std::pair<std::string_view, std::uint64_t>> sorted(const table& words) {
  std::vector<std::pair<std::string_view, std::uint64_t>> rows(words.begin(), words.end());
  std::ranges::sort(rows,
                    [](const auto& a, const auto& b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
  return rows;
}
