// test/main.cpp
// The entry point of weir_tests. Alone in its file, because it is the slowest of all to compile.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
