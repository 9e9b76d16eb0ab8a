// site: a web site to try linkcheck on, at a port that the system chooses. It counts its requests: see /stats.
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <runnel/context.hpp>
#include <runnel/go.hpp>
#include <runnel/guarded.hpp>
#include <runnel/runtime.hpp>
#include <string>

namespace rn = runnel;
using namespace std::chrono_literals;

namespace {

struct counts {
  std::map<std::string, int> requests;  // by target
  int in_work = 0;
  int most_at_once = 0;
  rn::time_point first, last;
};

class server : public httplib::Server {
 public:
  int open() {
    const int port = bind_to_any_port("127.0.0.1");
    ::listen(svr_sock_, SOMAXCONN);  // httplib lets 5 clients wait: the next ones would be kept waiting for a second
    return port;
  }
};

int number(const std::string& text) {  // -1 if it is none
  int parsed = -1;
  const char* const end = text.data() + text.size();
  return std::from_chars(text.data(), end, parsed).ptr == end ? parsed : -1;
}

std::string link(const std::string& to) { return "<p><a href=\"" + to + "\">" + to + "</a>\n"; }

std::string front_page(const std::string& host) {
  std::string html = "<title>Front</title><!-- " + link("/commented-out") + " -->\n";
  for (const char* const to : {"page/0",
                               "./page/1",
                               "/page/2",
                               "page/../page/3",
                               "page/0#again",
                               "#top",
                               "",
                               "../../page/4",
                               "search?a=1&amp;b=2",
                               "search?a=1&amp;b=2#c",
                               " with space ",
                               "missing/front",
                               "/old",
                               "/forgotten",
                               "/loop/a",
                               "/nowhere",
                               "/error",
                               "/cut",
                               "/endless",
                               "/notes.txt",
                               "mailto:somebody@example.com",
                               "javascript:void(0)",
                               "http://other.example/",
                               "https://other.example/page#x"})
    html += link(to);
  html += link("http://" + host + "/page/6") + link("//" + host + "/page/7");
  html += "<A title='a > b' HREF = '/page/8'>8</A> <a href=page/9>9</a> <p data-href=\"/no-link\"> 1 < 2 > href=\"/text\"\n";
  for (int i = 0; i < 8; ++i) html += link("/slow/" + std::to_string(i));
  return html;
}

// 40 pages in a ring, with short cuts.
std::string numbered_page(int i) {
  std::string html = link("..") + link(std::to_string((i + 1) % 40)) + link("/page/" + std::to_string(7 * i % 40) + "#part");
  if (i % 10 == 9) html += link("../missing/" + std::to_string(i / 20));
  return html;
}

void serve(const rn::context& ctx, std::chrono::milliseconds slow, const httplib::Request& request, httplib::Response& response) {
  const std::string& path = request.path;
  const auto redirect = [&response](const char* to, int status) {
    response.status = status;
    response.set_header("Location", to);
  };
  std::string html;
  if (path == "/") html = front_page(request.get_header_value("Host"));
  if (path.starts_with("/page/")) {
    const int i = number(path.substr(6));
    if (i >= 0 && i < 40) html = numbered_page(i);
  }
  if (path == "/with space") html = link("/page/1");
  if (path == "/search") html = link("?a=2") + link("/page/1");
  if (path.starts_with("/slow/")) {
    (void)rn::sleep_for(ctx, slow);  // up to the end of the program
    html = link("/");
  }
  if (path == "/notes.txt") return response.set_content(link("/not-followed"), "text/plain");
  if (path == "/old") return redirect("page/11", 301);
  if (path == "/forgotten") return redirect("/missing/redirected", 302);
  if (path == "/loop/a") return redirect("b", 302);
  if (path == "/loop/b") return redirect("/loop/a#again", 302);
  if (path == "/cut")
    return response.set_content_provider(1000, "text/html", [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
  if (path == "/endless")
    return response.set_chunked_content_provider("text/html", [](std::size_t, httplib::DataSink& sink) {
      const std::string more = link("/page/12") + std::string(16384, ' ');
      return sink.write(more.data(), more.size());
    });
  response.status = path == "/error" ? 500 : path == "/nowhere" ? 302 : html.empty() ? 404 : 200;
  response.set_content(html, "text/html; charset=utf-8");
}

std::string text(const counts& so_far) {
  int requests = 0;
  std::string repeated;
  for (const auto& [target, times] : so_far.requests) {
    requests += times;
    if (times > 1) repeated += "repeated " + target + '\n';
  }
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(so_far.last - so_far.first);
  return "requests " + std::to_string(requests) + "\nin_work " + std::to_string(so_far.in_work) + "\nmost_at_once " +
         std::to_string(so_far.most_at_once) + "\nmilliseconds " + std::to_string(passed.count()) + '\n' + repeated;
}

}  // namespace

int main(int argc, char** argv) {
  const std::chrono::milliseconds slow(argc > 1 ? number(argv[1]) : 50);
  if (slow < 0ms || argc > 2) return std::fputs("usage: site [MILLISECONDS THAT A SLOW PAGE TAKES]\n", stderr), 2;

  const rn::scoped_context ctx = rn::with_signals(rn::context(), {SIGINT, SIGTERM});
  rn::guarded<counts> counted;
  server site;
  site.new_task_queue = [] { return new httplib::ThreadPool(32); };
  site.Get(".*", [&](const httplib::Request& request, httplib::Response& response) {
    if (request.path == "/stats") return response.set_content(text(*counted.lock()), "text/plain");
    counted.with([&](counts& c) {
      c.last = rn::clock::now();
      if (c.requests.empty()) c.first = c.last;
      ++c.requests[request.target];
      c.most_at_once = std::max(c.most_at_once, ++c.in_work);
    });
    serve(ctx, slow, request, response);
    --counted.lock()->in_work;
  });
  const int port = site.open();
  if (port <= 0) return std::fputs("site: no port\n", stderr), 1;
  std::printf("http://127.0.0.1:%d/\n", port);
  std::fflush(stdout);

  const rn::future<bool> serving = rn::async([&site] {
    const rn::blocking_region in_httplib;
    return site.listen_after_bind();
  });
  (void)serving.wait(ctx);
  while (!serving.try_wait_for(10ms)) site.stop();  // one that comes before it has begun to listen is lost: so again
  return 0;
}
