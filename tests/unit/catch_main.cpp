// The main function of every test program, compiled once. Catch2 3 brings its own; this one is for version 2.13.
#define CATCH_CONFIG_MAIN
#include "catch.hpp"
