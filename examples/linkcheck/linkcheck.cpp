// linkcheck: follows the links of a web site from one page on, and reports those that are broken, with several requests at a time.
#include <getopt.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <limits>
#include <map>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/go.hpp>
#include <runnel/guarded.hpp>
#include <runnel/rate_limiter.hpp>
#include <runnel/runtime.hpp>
#include <set>
#include <utility>

#include "web.hpp"

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

struct options {
  std::size_t at_once = 4;
  double rate = 100;  // requests a second
  rn::duration deadline = rn::duration::max();
  std::size_t depth = std::numeric_limits<std::size_t>::max();
  web::url start;
};

struct page {
  bool checked = false;
  std::string problem;
  std::optional<web::url> moved_to;
  std::set<web::url> from;  // the pages that refer to it
};

struct findings {
  std::map<web::url, page> pages;  // by address: what is in here has been seen, and is not requested again
  std::vector<web::url> next;      // those to be requested next
};

// One request; nothing if the context is done first. httplib knows no contexts: it waits in a task of its own, where it can be left.
std::optional<web::reply> fetch(const rn::context& ctx, const web::url& from) {
  if (ctx.done()) return std::nullopt;
  httplib::Client client(from.origin);
  client.set_connection_timeout(3s);  // also the longest that stop() may wait
  client.set_read_timeout(30s);
  client.set_url_encode(false);  // links are encoded as they stand
  rn::future<web::reply> reply = rn::async([&] {
    const rn::blocking_region in_httplib;  // another thread runs tasks meanwhile
    return web::get(client, from.path);
  });
  if (auto got = reply.get(ctx)) return *std::move(got);
  // The task uses our client, so it must end before we do. A stop() that comes before the request has begun is lost: so again.
  while (!reply.try_wait_for(10ms)) client.stop();
  return std::nullopt;
}

// Requests one page, and notes what it is and where its links lead.
void check(const rn::context& ctx, const web::url& address, rn::guarded<findings>& found) {
  const std::optional<web::reply> reply = fetch(ctx, address);
  if (!reply) return;
  // All that takes time is done before the lock is taken.
  std::vector<std::optional<web::url>> links;
  for (const std::string_view href : web::hrefs(reply->html)) links.push_back(web::resolve(address, href));
  std::optional<web::url> moved_to;
  if (!reply->location.empty()) links.push_back(moved_to = web::resolve(address, reply->location));

  const auto all = found.lock();
  for (const auto& link : links) {
    if (!link) continue;
    const auto [at, is_new] = all->pages.try_emplace(*link);
    at->second.from.insert(address);
    if (is_new && link->origin == address.origin) all->next.push_back(*link);
  }
  page& self = all->pages[address];
  self.checked = true;
  self.problem = reply->problem;
  self.moved_to = moved_to;
}

// Checks the site level by level: first the start, then all pages one link away, then those two links away.
//
// A crawler makes its own work. Workers that send what they find into a bounded channel, from which they themselves receive, come to a
// halt: all wait for room, and nobody is left to make some. Here the tasks put it into a list, which waits for nobody, and this
// function alone starts tasks: it waits in go() while as many run as may. The group's limit does, as a task is one request from its
// beginning to its end; a semaphore would be for tasks that do more. What grows is what is known of the site, and nothing else.
// By levels, since the depth of a page is that of the shortest way to it: if pages were followed as they come, it would be that of
// the quickest. The price: a level ends with its slowest page.
//
// Returns whether there was time for all of it; or throws context_error.
bool crawl(const rn::context& ctx, const options& how, rn::guarded<findings>& found) {
  rn::rate_limiter rate(how.rate, 1);
  std::vector<web::url> level{how.start};
  found.lock()->pages[how.start];
  for (std::size_t depth = 0; !level.empty(); ++depth) {
    bool in_time = true;
    rn::errgroup group(ctx, {.limit = how.at_once});
    for (const web::url& address : level) {
      // Also false, and at once, if the deadline will come before our turn: what runs may still end in time.
      in_time = static_cast<bool>(rate.wait(group.ctx()));
      if (!in_time) break;
      group.go([&found, &address](const rn::context& running) { check(running, address, found); });
    }
    group.wait();  // throws if the context ended meanwhile
    if (!in_time || depth == how.depth) return in_time;
    level = std::exchange(found.lock()->next, {});
  }
  return true;
}

// A browser gives up after 20 redirects.
bool redirects_for_ever(const std::map<web::url, page>& pages, const page& from) {
  const page* at = &from;
  for (int steps = 0; steps <= 20; ++steps) {
    if (!at->moved_to) return false;
    at = &pages.at(*at->moved_to);
  }
  return true;
}

// Prints what is broken, sorted, and the sum. Returns how many links are broken.
std::size_t report(const std::map<web::url, page>& pages, const std::string& origin) {
  std::size_t checked = 0, unchecked = 0, external = 0, links = 0, broken = 0;
  for (const auto& [address, found] : pages) {
    ++(found.checked ? checked : address.origin == origin ? unchecked : external);
    links += found.from.size();
    const std::string problem = redirects_for_ever(pages, found) ? "redirects for ever" : found.problem;
    if (problem.empty()) continue;
    ++broken;
    std::printf("%s: %s\n", address.text().c_str(), problem.c_str());
    for (const web::url& referrer : found.from) std::printf("    on %s\n", referrer.text().c_str());
  }
  std::printf("pages checked: %zu, not checked: %zu, on other sites: %zu; links: %zu; broken: %zu\n", checked, unchecked, external,
              links, broken);
  return broken;
}

// The signal that ended the context; 0 if none did.
int signal_that_ended(const rn::context& ctx) {
  try {
    if (const std::exception_ptr cause = ctx.cause()) std::rethrow_exception(cause);
    return 0;
  } catch (const rn::signal_error& signal) {
    return signal.number();
  } catch (const rn::context_error&) {
    return 0;
  }
}

int run(const options& how) {
  const rn::scoped_context stoppable = rn::with_signals(rn::context(), {SIGINT, SIGTERM});
  const rn::scoped_context ctx = rn::with_timeout(stoppable, how.deadline);
  rn::guarded<findings> found;
  bool complete = true;
  try {
    complete = crawl(ctx, how, found);
  } catch (const rn::context_error&) {
    complete = false;  // ctx knows why
  }
  const std::map<web::url, page> pages = std::move(found.lock()->pages);
  const std::size_t broken = report(pages, how.start.origin);
  if (!complete) {
    const int signal = signal_that_ended(ctx);
    const std::string why = signal == 0 ? "the deadline came first" : "stopped by signal " + std::to_string(signal);
    std::printf("incomplete: %s\n", why.c_str());
    return signal == 0 ? 124 : 128 + signal;
  }
  if (const page& first = pages.at(how.start); !first.problem.empty())
    std::fprintf(stderr, "linkcheck: %s: %s\n", how.start.text().c_str(), first.problem.c_str());
  return broken == 0 ? 0 : 1;
}

int usage(std::FILE* to, int status) {
  std::fputs(
      "usage: linkcheck [-j N] [--rate R] [--deadline SECONDS] [--depth D] http://HOST[:PORT][/PATH]\n"
      "Reports the broken links of a site: N requests at a time (4), R a second at most (100), pages up to D links away (all).\n"
      "Status: 0 nothing is broken, 1 something is, 2 wrong usage, 124 the deadline came first, 130 Ctrl-C.\n",
      to);
  return status;
}

template <class T>
bool parse(const char* text, T least, T most, T& into) {
  const char* const end = text + std::string_view(text).size();
  const auto parsed = std::from_chars(text, end, into);
  return parsed.ec == std::errc() && parsed.ptr == end && into >= least && into <= most;
}

}  // namespace

int main(int argc, char** argv) {
  options how;
  double seconds = 0;
  const option names[] = {{"rate", required_argument, nullptr, 'r'},
                          {"deadline", required_argument, nullptr, 't'},
                          {"depth", required_argument, nullptr, 'd'},
                          {"help", no_argument, nullptr, 'h'},
                          {}};
  for (int name = 0; (name = ::getopt_long(argc, argv, "j:h", names, nullptr)) != -1;) {
    bool good = false;
    if (name == 'h') return usage(stdout, 0);
    if (name == 'j') good = parse<std::size_t>(optarg, 1, 1024, how.at_once);
    if (name == 'r') good = parse(optarg, 1e-3, std::numeric_limits<double>::infinity(), how.rate);  // "inf": as fast as it goes
    if (name == 'd') good = parse<std::size_t>(optarg, 0, how.depth, how.depth);
    if (name == 't') {
      good = parse(optarg, 0.0, 1e9, seconds);
      if (good) how.deadline = std::chrono::duration_cast<rn::duration>(std::chrono::duration<double>(seconds));
    }
    if (!good) return usage(stderr, 2);
  }
  const auto start = optind + 1 == argc ? web::parse(argv[optind]) : std::nullopt;
  if (!start || !start->origin.starts_with("http://")) return usage(stderr, 2);
  how.start = *start;

  int status = 1;
  try {
    status = run(how);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "linkcheck: %s\n", error.what());
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fputs("linkcheck: cannot write\n", stderr);
  return 1;
}
