// test/support/cost.h
// What something costs: how often the whole process takes memory and calls sendmsg() meanwhile, so
// nothing else may run.
#pragma once

namespace weir::test {

struct Cost {
  int allocations = 0;
  int sends = 0;
};

void start_counting();
Cost stop_counting();

}  // namespace weir::test
