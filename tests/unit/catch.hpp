// Catch2 for the tests: version 3 where it is installed, else version 2.13. The tests use what both have: TEST_CASE, SECTION,
// CHECK, REQUIRE, STATIC_REQUIRE, CHECK_THROWS_AS, TEMPLATE_TEST_CASE, GENERATE and the like.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
