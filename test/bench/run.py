#!/usr/bin/env python3
"""./dev bench: weir beside its peers. docs/benchmarks.md says how it measures and why so.

The sides of a scenario run in turn, A B A B, never at the same time: the server alone on one core, the origin
and the viewers on the other. Everything listens on free loopback ports and ends with this process.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import http_scenarios
import measure
import report
import scenarios
import udp_scenarios
from servers import LOAD_CORE, Tools

SUITES = {"live": scenarios, "http": http_scenarios, "udp": udp_scenarios}
QUICK_SECONDS = 105  # no scenario begins a side after that


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("suite", nargs="?", choices=SUITES, default="live",
                        help="live streams (as without it), the HTTP cache, or packets of UDP")
    parser.add_argument("--quick", action="store_true",
                        help="fewer viewers, short windows, under two minutes; indicative only")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="scenarios whose name contains NAME; may be given again")
    parser.add_argument("--runs", type=int, help="runs per side (3; 1 with --quick)")
    parser.add_argument("--window", type=float, help="seconds of each measurement")
    parser.add_argument("--warmup", type=float, help="seconds before it")
    parser.add_argument("--json", metavar="FILE", help="all figures of all runs")
    parser.add_argument("--markdown", metavar="FILE", help="the tables for docs/benchmarks.md")
    parser.add_argument("--nice", type=int, default=0, metavar="N",
                        help="niceness of all that is measured; below 0 on a shared machine, as root")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    return parser.parse_args()


def choose(arguments, tools):
    """The scenarios to run, with the sides that can run here."""
    suite = SUITES[arguments.suite]
    chosen = [scenario for scenario in suite.all_scenarios()
              if not arguments.only or any(name in scenario.name for name in arguments.only)]
    for scenario in chosen:
        needed = {"weir"} | {name for bar in scenario.bars for name in (bar.side, bar.against)}
        scenario.sides = {label: run for label, run in scenario.sides.items()
                          if (tools.weir or not label.startswith("weir"))
                          and (not arguments.quick or arguments.only or label in needed)}
    if arguments.quick and not arguments.only:
        chosen = [scenario for scenario in chosen if scenario.name not in suite.QUICK_SKIPS]
    return [scenario for scenario in chosen if scenario.sides]


def run_side(scenario, label, tools, pace):
    try:
        return scenario.sides[label](tools, pace)
    except (RuntimeError, OSError, ValueError) as error:
        print(f"  {label}: {error}", flush=True)
        return {}


def run_scenario(scenario, tools, pace, runs, deadline):
    """Per side the figures of each run that succeeded."""
    measured = {label: [] for label in scenario.sides}
    for _ in range(runs):
        for label in scenario.sides:
            if time.monotonic() > deadline:
                print(f"  {label}: no time left", flush=True)
                continue
            figures = run_side(scenario, label, tools, pace)
            if figures:
                measured[label].append(figures)
    return {label: found for label, found in measured.items() if found}


def conclude(scenario, measured):
    sides = {label: report.medians(found) for label, found in measured.items()}
    judged = [(bar, *report.judge(bar, sides)) for bar in scenario.bars]
    notes = [f"{label}: {doubt}" for label, figures in sides.items()
             for doubt in report.doubts(figures)]
    return scenario, sides, judged, notes


def as_json(concluded, raw):
    scenario, sides, judged, notes = concluded
    weir = sides.get("weir", {})
    return {"name": scenario.name, "title": scenario.title, "runs": raw, "median": sides,
            "ratio": {label: {figure: weir[figure] / figures[figure] for figure in report.RATIOS
                              if weir.get(figure) is not None and (figures.get(figure) or 0) > 0}
                      for label, figures in sides.items() if weir and label != "weir"},
            "bars": [{"what": bar.what, "limit": bar.limit, "measured": value, "verdict": verdict}
                     for bar, value, verdict in judged], "notes": notes}


def bench(arguments, tools):
    suite = SUITES[arguments.suite]
    pace = suite.QUICK if arguments.quick else scenarios.Pace()
    pace.window = arguments.window or pace.window
    pace.warmup = pace.warmup if arguments.warmup is None else arguments.warmup
    runs = arguments.runs or (1 if arguments.quick else 3)
    deadline = time.monotonic() + (QUICK_SECONDS if arguments.quick else 1e9)
    chosen = choose(arguments, tools)
    if not tools.weir:
        print("no weir binary (WEIR_BINARY): only the peers are measured")
    suite.prepare(tools)
    print(report.machine(), flush=True)
    results, documents = [], []
    for scenario in chosen:
        print(f"\n{scenario.name}: {scenario.title}" +
              (f" (viewers times {pace.viewers:g})" if pace.viewers != 1 else ""), flush=True)
        raw = run_scenario(scenario, tools, pace, runs, deadline)
        concluded = conclude(scenario, raw)
        results.append(concluded)
        documents.append(as_json(concluded, raw))
        print(report.table(scenario, concluded[1]))
        if tools.weir:
            print(report.bars(concluded[2]))
        for note in concluded[3]:
            print(f"  note: {note}")
        sys.stdout.flush()
        # After every scenario, so that an interrupted hour is not lost.
        if arguments.json:
            with open(arguments.json, "w") as file:
                json.dump({"suite": arguments.suite, "machine": report.machine(),
                           "quick": arguments.quick, "runs": runs,
                           "window_s": pace.window, "scenarios": documents}, file, indent=1)
        if arguments.markdown:
            with open(arguments.markdown, "w") as file:
                file.write(report.document(results, pace, runs))
    missed = [(scenario.name, bar.what) for scenario, _, judged, _ in results
              for bar, _, verdict in judged if verdict == "miss"]
    for name, what in missed:
        print(f"missed: {name}: {what}")


def main():
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(scenario.name for scenario in SUITES[arguments.suite].all_scenarios()))
        return
    work_dir = tempfile.mkdtemp(prefix="weir-bench-")
    tools = Tools(os.environ.get("WEIR_BINARY", "build/release/weir"),
                  os.environ.get("WEIR_BENCH_DIR", "build/release/bench"), work_dir)
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(ending, signal.default_int_handler)
    measure.niceness = arguments.nice
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        bench(arguments, tools)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    finally:
        measure.stop_all()
        shutil.rmtree(work_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
