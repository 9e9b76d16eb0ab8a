// What holds of a channel's core; a scenario's `proves` names those whose violation would fail it.
#pragma once

#include <array>

namespace model {

inline constexpr std::array invariants{
    "head <= tail <= head + capacity; neither decreases",
    "A position has one sending and one receiving claimer; its slot is written between the claim of the tail and the mark full, "
    "read between the claim of the head and the mark free",
    "A slot's stamps run free, full, free for the next lap, without gaps",
    "After CLOSED no claim of the tail succeeds; what was accepted is received, or in the store, or with a waiter, and once",
    "A receiver learns that the channel is closed only if CLOSED is set and tail = head at one instant",
    "Where a flag says that nobody is queued, nobody is, but while the queues' lock is held",
    "At rest, a queued receiver means an empty, open channel, and a queued sender a full, open one; no matching pair is queued",
    "Nobody sleeps where that is violated, once all claims and all holders of the lock are through",
    "A node is on one list at most, changed only under its lock, and is not touched after it was resumed or unlinked",
    "Each waiter ends once: ok, closed, or unlinked by its owner",
    "A select is claimed once, and only that case has an effect; none if it timed out",
    "A thread holds one queue's lock at most; two selects are locked in the order of their addresses",
    "One sender's values stay in order; a value is handed over directly only if the store was seen empty under the lock",
    "A queue is served in order, but for selects that are claimed already",
    "close() succeeds once; every waiter that was queued before it or meanwhile ends"};

}  // namespace model
