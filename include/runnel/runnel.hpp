// Everything of the library in one include.
#pragma once

#include <runnel/broadcast.hpp>
#include <runnel/channel.hpp>
#include <runnel/context.hpp>
#include <runnel/errgroup.hpp>
#include <runnel/fan.hpp>
#include <runnel/go.hpp>
#include <runnel/guarded.hpp>
#include <runnel/once.hpp>
#include <runnel/oneshot.hpp>
#include <runnel/pipeline.hpp>
#include <runnel/rate_limiter.hpp>
#include <runnel/runtime.hpp>
#include <runnel/rw_guarded.hpp>
#include <runnel/select.hpp>
#include <runnel/selectable.hpp>
#include <runnel/semaphore.hpp>
#include <runnel/singleflight.hpp>
#include <runnel/status.hpp>
#include <runnel/task.hpp>
#include <runnel/timer.hpp>
#include <runnel/version.hpp>
#include <runnel/wait_group.hpp>
#include <runnel/watch.hpp>
#include <runnel/worker_pool.hpp>
