// Programs as scenarios: run on the product, compared with the specification.
#pragma once

#include "../engine/scenario.hpp"
#include "program.hpp"

namespace model {

/// The scenario "program <text>". Its body runs the program and checks that the history is linearizable.
scenario scenario_of(const program& p);

}  // namespace model
