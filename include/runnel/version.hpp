// The version of the library, readable by the preprocessor and by CMake.
#pragma once

#define RUNNEL_VERSION_MAJOR 0
#define RUNNEL_VERSION_MINOR 1
#define RUNNEL_VERSION_PATCH 0
#define RUNNEL_VERSION_STRING "0.1.0"
