// What treesum does with one file and with one folder: nothing here runs beside anything else.
#pragma once

#include <openssl/evp.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <runnel/context.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace fs = std::filesystem;

struct answer {  // one whole line, for stdout, or for stderr if the file could not be read
  std::string line;
  bool failed = false;
};

inline std::atomic<std::uint64_t> files_read, bytes_read;  // what the progress line shows

inline answer problem(const std::string& path, const std::error_code& why) {
  return {"treesum: " + path + ": " + why.message() + '\n', true};
}

inline answer sum(const unsigned char* digest, unsigned size, const std::string& path) {
  std::string hex, name;
  for (unsigned i = 0; i < size; ++i) (hex += "0123456789abcdef"[digest[i] >> 4]) += "0123456789abcdef"[digest[i] & 15];
  for (const char c : path) name += c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\\' ? "\\\\" : std::string(1, c);
  return {(name == path ? "" : "\\") + hex + "  " + name + '\n'};  // as sha256sum: a backslash says that the name is escaped
}

// The sum of one file; nothing if the context is done before.
inline std::optional<answer> digest(const runnel::context& ctx, const std::string& path) {
  const std::unique_ptr<std::FILE, decltype([](std::FILE* f) { std::fclose(f); })> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return problem(path, {errno, std::generic_category()});
  const std::unique_ptr<EVP_MD_CTX, decltype([](EVP_MD_CTX* s) { EVP_MD_CTX_free(s); })> state(EVP_MD_CTX_new());
  bool worked = EVP_DigestInit_ex(state.get(), EVP_sha256(), nullptr) == 1;
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  static thread_local char buffer[64 * 1024];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) {
    if (ctx.done()) return std::nullopt;
    worked = worked && EVP_DigestUpdate(state.get(), buffer, got) == 1;
    bytes_read += got;
  }
  if (std::ferror(file.get()) != 0) return problem(path, {errno, std::generic_category()});
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!worked || EVP_DigestFinal_ex(state.get(), bytes, &size) != 1) throw std::runtime_error("libcrypto failed");
  ++files_read;
  return sum(bytes, size, path);
}

// Calls visit(path, error) for every regular file under a folder, and for what cannot be looked at: each folder's entries in the order
// of their names. False: visit said so. Links are not followed.
template <class Visit>
bool walk(const fs::path& folder, const Visit& visit) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(it->path());
  if (error && !visit(folder, error)) return false;
  std::ranges::sort(entries, {}, [](const fs::path& path) -> auto& { return path.native(); });
  return std::ranges::all_of(entries, [&](const fs::path& path) {
    const fs::file_type type = fs::symlink_status(path, error).type();
    if (!error && type == fs::file_type::directory) return walk(path, visit);
    return (!error && type != fs::file_type::regular) || visit(path, error);
  });
}
