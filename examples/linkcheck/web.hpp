// What linkcheck knows of the web: addresses, the links of a page, and one request. Nothing here runs beside anything else.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace web {

inline constexpr std::string_view space = " \t\r\n\f";
inline constexpr std::size_t max_page = 1 << 20;  // bytes; what stands behind them is not read

inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

struct url {
  std::string origin;  // http://host or http://host:port
  std::string path;    // /path or /path?query
  [[nodiscard]] std::string text() const { return origin + path; }
  friend auto operator<=>(const url&, const url&) = default;
};

// "/a/./b/../c" is "/a/c".
inline std::string without_dots(std::string_view path) {
  const std::string_view query = path.substr(std::min(path.find('?'), path.size()));
  path.remove_suffix(query.size());
  std::string out;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/', 1));  // with the slash before it
    path.remove_prefix(segment.size());
    const bool up = segment == "/..", dots = up || segment == "/.";
    if (up) out.resize(std::min(out.rfind('/'), out.size()));
    if (!dots) out += segment;
    if (dots && path.empty()) out += '/';
  }
  return out.append(query);
}

// An address that stands by itself; nothing unless it is one of the web.
inline std::optional<url> parse(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string scheme = lower(text.substr(0, colon));
  if (scheme != "http" && scheme != "https") return std::nullopt;
  text = text.substr(colon + 3);
  text = text.substr(0, text.find('#'));
  std::string host = lower(text.substr(0, text.find_first_of("/?")));
  const std::string path(text.substr(host.size()));
  if (host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._:[]") != std::string::npos) return std::nullopt;
  if (const std::size_t at = host.rfind(':'); at != std::string::npos && host.back() != ']') {
    std::uint16_t port = 0;
    const char* const end = host.data() + host.size();
    const auto [stop, error] = std::from_chars(host.data() + at + 1, end, port);
    if (error != std::errc() || stop != end || port == 0) return std::nullopt;
    host.resize(at);
    if (port != (scheme == "http" ? 80 : 443)) host += ':' + std::to_string(port);
  }
  if (host.empty() || host.front() == ':') return std::nullopt;
  return url{scheme + "://" + host, without_dots(path.starts_with('/') ? path : '/' + path)};
}

// Where a link on a page leads, without the fragment; nothing for mailto: and the like.
inline std::optional<url> resolve(const url& page, std::string_view href) {
  std::string to;
  href = href.substr(std::min(href.find_first_not_of(space), href.size()));
  href = href.substr(0, href.find_last_not_of(space) + 1);
  for (href = href.substr(0, href.find('#')); !href.empty(); href.remove_prefix(1)) {
    if (href[0] == ' ') to += "%20";
    if (static_cast<unsigned char>(href[0]) > ' ') to += href[0];
    if (href.starts_with("&amp;")) href.remove_prefix(4);
  }
  const std::size_t mark = to.find_first_of(":/?");
  const std::string path = page.path.substr(0, page.path.find('?'));
  if (mark != std::string::npos && to[mark] == ':') return parse(to);
  if (to.starts_with("//")) return parse(page.origin.substr(0, page.origin.find('/')) + to);
  if (to.starts_with('/')) return url{page.origin, without_dots(to)};
  if (to.starts_with('?')) return url{page.origin, path + to};
  return to.empty() ? page : url{page.origin, without_dots(path.substr(0, path.rfind('/') + 1) + to)};
}

// The values of all href="..." in the tags of a page. What stands in a comment is no tag.
inline std::vector<std::string_view> hrefs(std::string_view html) {
  std::vector<std::string_view> found;
  const auto go_to = [&html](std::size_t at) { html.remove_prefix(std::min(at, html.size())); };
  const auto take_until = [&](const std::string& ends) {
    const std::string_view taken = html.substr(0, html.find_first_of(ends));
    go_to(taken.size());
    return taken;
  };
  const std::string gap(space);
  for (go_to(html.find('<')); !html.empty(); go_to(html.find('<'))) {
    if (html.starts_with("<!--")) {
      go_to(html.find("-->"));
      continue;
    }
    go_to(1);
    if (html.empty() || lower(html.substr(0, 1)) < "a" || lower(html.substr(0, 1)) > "z") continue;
    take_until(gap + '>');  // the name of the tag; then come its attributes
    for (go_to(html.find_first_not_of(gap + '/')); !html.empty() && html[0] != '>'; go_to(html.find_first_not_of(gap + '/'))) {
      const std::string_view name = take_until(gap + "=>/");
      go_to(html.find_first_not_of(gap));
      if (!html.starts_with('=')) continue;
      go_to(html.find_first_not_of(gap, 1));
      const std::string quote(html.starts_with('"') || html.starts_with('\'') ? html.substr(0, 1) : "");
      go_to(quote.size());
      const std::string_view value = take_until(quote.empty() ? gap + '>' : quote);
      go_to(quote.size());
      if (lower(name) == "href") found.push_back(value);
    }
  }
  return found;
}

struct reply {
  std::string problem;   // why the page is broken; empty if it is not
  std::string location;  // where a redirect leads
  std::string html;      // empty for what is no page, as a picture
};

inline std::string describe(httplib::Error error) {
  if (error == httplib::Error::Connection) return "cannot connect";
  if (error == httplib::Error::Read) return "the answer does not come, or breaks off";
  return "the request failed: " + httplib::to_string(error);
}

// One request. Blocks until it is answered, for client.stop(), or up to the client's timeouts.
inline reply get(httplib::Client& client, const std::string& path) {
  reply got;
  int status = 0;
  const auto on_head = [&](const httplib::Response& head) {
    status = head.status;
    got.location = status / 100 == 3 ? head.get_header_value("Location") : "";
    return status / 100 == 2 && lower(head.get_header_value("Content-Type")).starts_with("text/html");  // false: spare us the rest
  };
  const auto on_body = [&](const char* data, std::size_t size) {
    got.html.append(data, std::min(size, max_page - got.html.size()));
    return got.html.size() < max_page;
  };
  const httplib::Result result = client.Get(path, on_head, on_body);
  const bool read_enough = result || result.error() == httplib::Error::Canceled;
  if (status == 0 || (status / 100 == 2 && !read_enough)) {
    got.problem = describe(result.error());
  } else if (status / 100 != 2 && got.location.empty()) {
    got.problem = std::to_string(status);
  }
  return got;
}

}  // namespace web
