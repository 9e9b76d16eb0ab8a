// Facts about the compiler, and the only macros of the library.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "runnel needs C++20: compile with -std=c++20 or newer"
#endif

/// The inline namespace that holds the whole library. Builds whose objects must not be mixed (another gateway, another
/// way to park) have another name here, so that mixing them fails to link instead of breaking at run time.
#if !defined(RUNNEL_ABI)
#if defined(RUNNEL_PORTABLE_PARK)
#define RUNNEL_ABI v0_portable
#else
#define RUNNEL_ABI v0
#endif
#endif

/// Whether engines assert their invariants: as assert() does, off where NDEBUG is defined. No layout depends on it.
#if !defined(RUNNEL_CHECK)
#if defined(NDEBUG)
#define RUNNEL_CHECK 0
#else
#define RUNNEL_CHECK 1
#endif
#endif

#if RUNNEL_CHECK
#include <cassert>
#define RUNNEL_ASSERT(...) assert((__VA_ARGS__))
#else
#define RUNNEL_ASSERT(...) static_cast<void>(0)
#endif

/// Keeps a slow path out of the code of the fast path that calls it.
#if defined(__GNUC__) || defined(__clang__)
#define RUNNEL_NOINLINE [[gnu::noinline]]
#define RUNNEL_ALWAYS_INLINE [[gnu::always_inline]] inline
#else
#define RUNNEL_NOINLINE
#define RUNNEL_ALWAYS_INLINE inline
#endif

/// For what looks at thread_slot from within a coroutine, which may be on another thread at each look: clang before 17 keeps the address of
/// what is thread-local across a suspension where it has not inlined the function that answers it.
#if defined(__clang__) && __clang_major__ < 17
#define RUNNEL_LOOK_AT_THREAD RUNNEL_NOINLINE inline
#else
#define RUNNEL_LOOK_AT_THREAD RUNNEL_ALWAYS_INLINE
#endif

/// Whether AddressSanitizer watches: 1 or 0.
#if defined(__SANITIZE_ADDRESS__)
#define RUNNEL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RUNNEL_ASAN 1
#endif
#endif
#if !defined(RUNNEL_ASAN)
#define RUNNEL_ASAN 0
#endif

/// Whether ThreadSanitizer watches: 1 or 0.
#if defined(__SANITIZE_THREAD__)
#define RUNNEL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RUNNEL_TSAN 1
#endif
#endif
#if !defined(RUNNEL_TSAN)
#define RUNNEL_TSAN 0
#endif
