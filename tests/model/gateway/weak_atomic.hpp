// The weak-memory lane's atomic: a part of sync.hpp, and inside its namespace. What it holds is its history, in the engine.

inline const bool weak_memory_in_use = (model::weak::use(), true);

constexpr model::weak::ordering weak_order(std::memory_order order) noexcept {
  switch (order) {
    case std::memory_order_relaxed: return model::weak::ordering::relaxed;
    case std::memory_order_consume:
    case std::memory_order_acquire: return model::weak::ordering::acquire;
    case std::memory_order_release: return model::weak::ordering::release;
    case std::memory_order_acq_rel: return model::weak::ordering::acq_rel;
    case std::memory_order_seq_cst: break;
  }
  return model::weak::ordering::seq_cst;
}

template <class T>
class atomic {
 public:
  using place = model::place;

  constexpr atomic() noexcept = default;
  explicit constexpr atomic(T value) noexcept : first_(value) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  [[nodiscard]] T load(std::memory_order order, place at = place::current()) const noexcept {
    come("load", at);
    return traced(order, "is", value_of(model::weak::load(history_, bits_of(first_), weak_order(order))));
  }
  void store(T value, std::memory_order order, place at = place::current()) noexcept {
    come("store", at);
    model::weak::store(history_, bits_of(first_), bits_of(traced(order, "is", value)), weak_order(order));
  }
  T exchange(T value, std::memory_order order, place at = place::current()) noexcept {
    return modify("exchange", order, at, [value](T) { return value; });
  }
  bool compare_exchange(T& expected, T desired, std::memory_order success, std::memory_order failure,
                        place at = place::current()) noexcept {
    come("compare_exchange", at);
    const std::uint64_t first = bits_of(first_);
    std::uint64_t seen = 0;
    const bool older = model::weak::fail_on_older(history_, first, bits_of(expected), weak_order(failure), seen);
    const bool done = !older && value_of(model::weak::newest(history_, first)) == expected;
    if (!older) seen = model::weak::read_newest(history_, first, weak_order(done ? success : failure));
    if (done) model::weak::store_modified(history_, bits_of(desired), weak_order(success));
    expected = traced(done ? success : failure, done ? "done, was" : "fails at", value_of(seen));
    return done;
  }
  T fetch_add(T value, std::memory_order order, place at = place::current()) noexcept {
    return modify("fetch_add", order, at, [value](T old) { return static_cast<T>(old + value); });
  }
  T fetch_sub(T value, std::memory_order order, place at = place::current()) noexcept {
    return modify("fetch_sub", order, at, [value](T old) { return static_cast<T>(old - value); });
  }
  T fetch_or(T value, std::memory_order order, place at = place::current()) noexcept {
    return modify("fetch_or", order, at, [value](T old) { return static_cast<T>(old | value); });
  }

  /// For park: nothing, where states are not named.
  void queued() const noexcept {}
  /// For park: no step of its own.
  [[nodiscard]] T peek() const noexcept {
    life_.check(this);
    return value_of(model::weak::newest(history_, bits_of(first_)));
  }

 private:
  static std::uint64_t bits_of(T value) noexcept {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<std::uintptr_t>(value);
    else
      return static_cast<std::uint64_t>(value);
  }
  static T value_of(std::uint64_t bits) noexcept {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<T>(bits);
    else
      return static_cast<T>(bits);
  }
  void come(const char* what, const place& at) const noexcept {
    model::point(this, what, at);
    life_.check(this);
  }
  template <class F>
  T modify(const char* what, std::memory_order order, const place& at, F f) noexcept {
    come(what, at);
    const T old = value_of(model::weak::read_newest(history_, bits_of(first_), weak_order(order)));
    model::weak::store_modified(history_, bits_of(f(old)), weak_order(order));
    return traced(order, "was", old);
  }
  static T traced(std::memory_order order, const char* outcome, T value) noexcept {
    if (model::tracing()) [[unlikely]]
      model::trace(order_name(order), outcome, bits_of(value));
    return value;
  }

  T first_{};
  mutable model::weak::object history_;
  life_mark life_;
};
