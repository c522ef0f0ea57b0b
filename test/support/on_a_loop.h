// test/support/on_a_loop.h
// A test's body on a loop of its own, without log lines.
#pragma once

#include "test/support/loop_fixture.h"
#include "test/support/quiet_log.h"

namespace weir::test {

// `body` makes the task, given the loop.
template <class Body>
void on_a_loop(Body body) {
  const QuietLog quiet;
  Loop loop;
  run(loop, body(loop));
}

}  // namespace weir::test
