// All of the program's allocations go through the ledger; under ThreadSanitizer, through its run time instead.
#if !defined(RUNNEL_MODEL_TSAN)

#include <new>

#include "ledger.hpp"

void* operator new(std::size_t size) { return model::ledger::obtain(size, 1); }
void* operator new[](std::size_t size) { return model::ledger::obtain(size, 1); }
void* operator new(std::size_t size, std::align_val_t a) { return model::ledger::obtain(size, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return model::ledger::obtain(size, static_cast<std::size_t>(a)); }
void operator delete(void* memory) noexcept { model::ledger::give_back(memory); }
void operator delete[](void* memory) noexcept { model::ledger::give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { model::ledger::give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { model::ledger::give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { model::ledger::give_back(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { model::ledger::give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { model::ledger::give_back(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { model::ledger::give_back(memory); }

#endif
