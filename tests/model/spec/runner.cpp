#include "runner.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <unordered_set>

#include <runnel/task.hpp>

#include "../engine/ledger.hpp"
#include "../scenarios/coroutines.hpp"
#include "../scenarios/kit.hpp"
#include "history.hpp"

namespace model {
namespace {

constexpr milliseconds time_limit{10};

answer answer_of(rn::status s) noexcept {
  switch (s) {
    case rn::status::ok: return answer::ok;
    case rn::status::would_block: return answer::would_block;
    case rn::status::closed: return answer::closed;
    case rn::status::canceled: return answer::canceled;
    case rn::status::timed_out: return answer::timed_out;
  }
  return answer::none;
}

struct ends {
  rn::send_channel<counted> send;
  rn::recv_channel<counted> recv;
};

/// One execution of a program.
class run {
 public:
  run(const program& p, history& h) : program_(p), history_(h) {
    history_ = {};
    for (std::size_t c = 0; c < p.channels.size(); ++c) {
      const rn::channel<counted> whole = make(p.channels[c].capacity == unbounded_capacity ? no_bound : p.channels[c].capacity);
      cores_[c] = rn::detail::channel_access::core(whole);
      for (std::size_t i = 0; i < p.channels[c].filled; ++i) whole.send(counted(value_++));
      main_[c] = {whole, whole};
      for (std::size_t part = 0; part < p.parts.size(); ++part)
        for (const operation& op : p.parts[part].operations) {
          if (op.channel != c) continue;
          if (op.what == verb::drop_send) own_[part][c].send = main_[c].send;
          if (op.what == verb::drop_recv) own_[part][c].recv = main_[c].recv;
        }
      if (p.drops(verb::drop_send, c)) main_[c].send = nullptr;
      if (p.drops(verb::drop_recv, c)) main_[c].recv = nullptr;
    }
    if (p.uses_context()) ctx_.emplace(rn::with_cancel(rn::context()));
    for (std::size_t part = 0; part < p.parts.size(); ++part)
      for (const operation& op : p.parts[part].operations) {
        record& r = history_.records[history_.count];
        r.what = op;
        r.sends_value = static_cast<std::uint8_t>(history_.count * 2 + 1);
        ++history_.count;
      }
  }

  void all() {
    std::array<context_of_part, most_parts> parts{};
    std::array<part, most_parts> list{};
    static constexpr const char* names[] = {"part 1", "part 2", "part 3", "part 4"};
    std::size_t first = 0;
    for (std::size_t i = 0; i < program_.parts.size(); ++i) {
      parts[i] = {this, i, first};
      first += program_.parts[i].operations.size();
      list[i] = {names[i], [](void* p) { static_cast<context_of_part*>(p)->run_all(); }, &parts[i]};
    }
    const bool stuck = run_parts_or_stick(list.data(), static_cast<unsigned>(program_.parts.size()));
    remove_uncalled();
    if (stuck) {
      final_ = history_;
      for (std::size_t c = 0; c < program_.channels.size(); ++c) ask(verb::size, c, final_);
      let_go();
      return;
    }
    for (std::size_t c = 0; c < program_.channels.size(); ++c)
      while (!program_.drops(verb::drop_recv, c) && history_.count < most_operations &&
             ask(verb::try_recv, c, history_) == answer::ok) {
      }
    final_ = history_;
  }

  [[nodiscard]] const history& result() const noexcept { return final_; }

 private:
  struct context_of_part {
    run* self;
    std::size_t part;
    std::size_t first;
    void run_all() const {
      if (self->program_.parts[part].is_coroutine) return run_here(run_all_as_coroutine());
      for (std::size_t i = 0; i < self->program_.parts[part].operations.size(); ++i) {
        record& r = begin(i);
        self->perform(r, part);
        self->note_return(r);
      }
    }
    [[nodiscard]] placed run_all_as_coroutine() const {
      for (std::size_t i = 0; i < self->program_.parts[part].operations.size(); ++i) {
        record& r = begin(i);
        if (can_wait(r.what.what)) {
          rn::task<> operation = self->perform_as_coroutine(r, part);
          co_await std::move(operation);
        } else {
          self->perform(r, part);
        }
        self->note_return(r);
      }
    }
    [[nodiscard]] record& begin(std::size_t i) const {
      record& r = self->live_.records[first + i];
      r = self->history_.records[first + i];
      r.called = self->history_.tick();
      has_called();
      return r;
    }
  };

  void note_return(record& r) {
    r.returned = history_.tick();
    has_returned();
  }

  /// Takes the records of what was called over from where the parts write them.
  void remove_uncalled() {
    std::uint8_t kept = 0;
    for (std::uint8_t i = 0; i < history_.count; ++i)
      if (live_.records[i].called != 0) history_.records[kept++] = live_.records[i];
    history_.count = kept;
  }

  /// An operation of the main thread, when all have ended or are stuck.
  answer ask(verb what, std::size_t channel, history& to) {
    record& r = to.records[to.count++];
    r = {};
    r.what = {what, static_cast<std::uint8_t>(channel), {}};
    r.called = to.tick();
    if (what == verb::size) {
      r.value = static_cast<std::uint8_t>(cores_[channel]->size());
      r.how = answer::ok;
    } else {
      note(main_[channel].recv.try_recv(), r);
    }
    r.returned = to.tick();
    return r.how;
  }

  /// Ends what waits for ever.
  void let_go() {
    if (ctx_) ctx_->cancel();
    for (std::size_t c = 0; c < program_.channels.size(); ++c) cores_[c]->close_if_open();
    run_stuck_parts();
  }

  const rn::send_channel<counted>& sender(std::size_t part, std::size_t c) const {
    return program_.drops(verb::drop_send, c) ? own_[part][c].send : main_[c].send;
  }
  const rn::recv_channel<counted>& receiver(std::size_t part, std::size_t c) const {
    return program_.drops(verb::drop_recv, c) ? own_[part][c].recv : main_[c].recv;
  }

  template <class Result>
  static void note(const Result& r, record& to) {
    if constexpr (!std::is_same_v<Result, rn::result<void>>)
      if (r) to.value = static_cast<std::uint8_t>((*r).value());
    to.how = answer_of(r.status());
  }
  static void note(const rn::send_result& r, const counted& value, record& to) {
    require(r.status() == rn::status::ok || value.has_value(), "a send that failed has moved its value");
    to.how = answer_of(r.status());
  }

  /// Calls select with the two cases of the record; their handlers write down what happened.
  template <class Select>
  auto with_cases(record& r, std::size_t part, counted& first, counted& second, const Select& select) {
    const auto [x, y] = r.what.cases;
    const auto got = [&r](std::uint8_t which) {
      return [&r, which](rn::recv_result<counted> v) {
        r.chosen = which;
        note(v, r);
      };
    };
    const auto gave = [&r](std::uint8_t which, const counted& value) {
      return [&r, which, &value](rn::send_result s) {
        r.chosen = which;
        note(s, value, r);
      };
    };
    const auto with_second = [&](auto&& a) {
      if (y.sends) return select(std::move(a), rn::on_send(sender(part, y.channel), std::move(second), gave(1, second)));
      return select(std::move(a), rn::on_recv(receiver(part, y.channel), got(1)));
    };
    if (x.sends) return with_second(rn::on_send(sender(part, x.channel), std::move(first), gave(0, first)));
    return with_second(rn::on_recv(receiver(part, x.channel), got(0)));
  }

  void perform(record& r, std::size_t part) {
    const std::size_t c = r.what.channel;
    counted value(r.sends_value);
    switch (r.what.what) {
      case verb::send:
        try {
          sender(part, c).send(std::move(value));
          r.how = answer::ok;
        } catch (const rn::channel_closed&) {
          require(value.has_value(), "a send that failed has moved its value");
          r.how = answer::closed;
        }
        break;
      case verb::try_send: note(sender(part, c).try_send(std::move(value)), value, r); break;
      case verb::send_for: note(sender(part, c).try_send_for(time_limit, std::move(value)), value, r); break;
      case verb::send_ctx: note(sender(part, c).send(*ctx_, std::move(value)), value, r); break;
      case verb::recv: note(receiver(part, c).recv(), r); break;
      case verb::try_recv: note(receiver(part, c).try_recv(), r); break;
      case verb::recv_for: note(receiver(part, c).try_recv_for(time_limit), r); break;
      case verb::recv_ctx: note(receiver(part, c).recv(*ctx_), r); break;
      case verb::close:
        try {
          sender(part, c).close();
          r.how = answer::ok;
        } catch (const rn::channel_closed&) {
          r.how = answer::closed;
        }
        break;
      case verb::cancel:
        ctx_->cancel();
        r.how = answer::ok;
        break;
      case verb::drop_send:
        own_[part][c].send = nullptr;
        r.how = answer::ok;
        break;
      case verb::drop_recv:
        own_[part][c].recv = nullptr;
        r.how = answer::ok;
        break;
      case verb::size:
        r.value = static_cast<std::uint8_t>(cores_[c]->size());
        r.how = answer::ok;
        break;
      default: perform_select(r, part); break;
    }
  }

  /// The same for an operation that can wait.
  rn::task<> perform_as_coroutine(record& r, std::size_t part) {
    const std::size_t c = r.what.channel;
    counted value(r.sends_value);
    switch (r.what.what) {
      case verb::send:
        try {
          co_await sender(part, c).async_send(std::move(value));
          r.how = answer::ok;
        } catch (const rn::channel_closed&) {
          require(value.has_value(), "a send that failed has moved its value");
          r.how = answer::closed;
        }
        break;
      case verb::send_for:
        co_await rn::async_select(rn::on_send(sender(part, c), std::move(value), [&](rn::send_result s) { note(s, value, r); }),
                                  rn::on_timeout(time_limit, [&r] { r.how = answer::timed_out; }));
        break;
      case verb::send_ctx: {
        const rn::send_result sent = co_await sender(part, c).async_send(*ctx_, std::move(value));
        note(sent, value, r);
        break;
      }
      case verb::recv: note(co_await receiver(part, c).async_recv(), r); break;
      case verb::recv_for:
        co_await rn::async_select(rn::on_recv(receiver(part, c), [&r](rn::recv_result<counted> v) { note(v, r); }),
                                  rn::on_timeout(time_limit, [&r] { r.how = answer::timed_out; }));
        break;
      case verb::recv_ctx: note(co_await receiver(part, c).async_recv(*ctx_), r); break;
      default: {
        counted second(r.sends_value + 1);
        const auto select = [this, &r](auto&& a, auto&& b) { return select_as_coroutine(r, std::move(a), std::move(b)); };
        rn::task<> selects = with_cases(r, part, value, second, select);
        co_await std::move(selects);
      }
    }
  }
  template <class First, class Second>
  rn::task<> select_as_coroutine(record& r, First a, Second b) {
    switch (r.what.what) {
      case verb::select_for:
        co_await rn::async_select(std::move(a), std::move(b), rn::on_timeout(time_limit, [&r] { r.how = answer::timed_out; }));
        break;
      case verb::select_ctx:
        co_await rn::async_select(std::move(a), std::move(b), rn::on_done(*ctx_, [&r] { r.how = answer::canceled; }));
        break;
      default: co_await rn::async_select(std::move(a), std::move(b)); break;
    }
  }

  void perform_select(record& r, std::size_t part) {
    counted first(r.sends_value);
    counted second(r.sends_value + 1);
    with_cases(r, part, first, second, [&](auto&& a, auto&& b) {
      switch (r.what.what) {
        case verb::try_select:
          if (rn::try_select(std::move(a), std::move(b)) == rn::select_none) r.how = answer::would_block;
          break;
        case verb::select_for:
          rn::select(std::move(a), std::move(b), rn::on_timeout(time_limit, [&r] { r.how = answer::timed_out; }));
          break;
        case verb::select_ctx:
          rn::select(std::move(a), std::move(b), rn::on_done(*ctx_, [&r] { r.how = answer::canceled; }));
          break;
        default: rn::select(std::move(a), std::move(b)); break;
      }
    });
  }

  const program& program_;
  history& history_;
  history live_;
  history final_;
  int value_ = 100;
  std::array<rn::detail::channel_core<counted>*, most_channels> cores_{};
  std::array<ends, most_channels> main_;
  std::array<std::array<ends, most_channels>, most_parts> own_;
  std::optional<rn::scoped_context> ctx_;
};

/// The histories of one program that were found good: most executions repeat one.
class known_histories {
 public:
  bool contains(std::uint64_t key) const { return keys_.contains(key); }
  void add(std::uint64_t key) { keys_.insert(key); }

 private:
  std::unordered_set<std::uint64_t> keys_;
};

void run_and_check(const program& p, known_histories& known) {
  static history h;
  counted::live.store(0, std::memory_order_relaxed);
  counted::moves_are_steps = p.operation_count() <= 2;  // small enough for the further schedules
  history result;
  {
    run r(p, h);
    r.all();
    result = r.result();
  }
  require(counted::live.load(std::memory_order_relaxed) == 0, "values are left over, or were destroyed twice");
  require(p.uses_context() || most_locks_held() <= 1, "a thread held the locks of two channels");
  const ledger::pause searching;
  const std::uint64_t key = result.key();
  note_seen(key);
  if (known.contains(key)) return;
  if (!is_linearizable(p, result)) fail("no order of the operations explains this history:" + describe(p, result));
  known.add(key);
}

constexpr std::string_view prefix = "program ";

program program_of(std::string_view name) {
  if (!name.starts_with(prefix)) throw std::invalid_argument("a program's scenario has its text as its name");
  return program::parse(name.substr(prefix.size()));
}
std::string name_of(const program& p) { return std::string(prefix) + p.text(); }

/// Of invariants.hpp. What a program's channels and operations do not have cannot fail.
std::vector<int> proved_by(const program& p) {
  bool bounded = false;
  bool stored = false;
  for (const auto& channel : p.channels) {
    stored = stored || channel.capacity != 0;
    bounded = bounded || (channel.capacity != 0 && channel.capacity != unbounded_capacity);
  }
  bool selects = false;
  bool ends = false;
  for (const auto& part : p.parts)
    for (const operation& op : part.operations) {
      selects = selects || is_select(op.what);
      ends = ends || op.what == verb::close || op.what == verb::drop_send || op.what == verb::drop_recv;
    }
  std::vector<int> list{4, 6, 7, 8, 9, 10};
  if (stored) list.insert(list.end(), {1, 2});
  if (bounded) list.push_back(3);
  if (ends) list.insert(list.end(), {5, 15});
  if (selects) list.push_back(11);
  if (!p.uses_context()) list.push_back(12);  // the engine counts the locks that a thread holds
  return list;
}

const enroll programs([] {
  set_language({[](std::string_view name) { return scenario_of(program_of(name)); },
                [](std::uint64_t seed, std::uint64_t number) { return name_of(generate(seed, number)); },
                [](std::string_view name) {
                  std::vector<std::string> names;
                  for (const program& p : smaller(program_of(name))) names.push_back(name_of(p));
                  return names;
                }});
});

}  // namespace

scenario scenario_of(const program& p) {
  const auto known = std::make_shared<known_histories>();
  scenario s;
  s.name = name_of(p);
  s.proves = proved_by(p);
  s.body = [p, known] { run_and_check(p, *known); };
  return s;
}

}  // namespace model
