"""What is measured, and the bars. A scenario has sides, which run in turn; a side gives one dictionary of
figures per run."""

import contextlib
import dataclasses
import time
from typing import Callable

import measure
from servers import (LOAD_CORE, SERVER_CORE, Haproxy, NginxRtmp, NginxStream, Origin, Viewers, Weir)


NEVER_MS = 99_999.0  # of a viewer that got no keyframe


@dataclasses.dataclass
class Bar:
    """`how` compares the figure of `side` with that of `against`: its value, a ratio, a difference."""

    what: str
    figure: str
    limit: float
    how: str = "value"
    side: str = "weir"
    against: str = ""


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    sides: dict[str, Callable]  # label -> function(tools, pace) -> figures
    bars: list[Bar]


@dataclasses.dataclass
class Pace:
    """How long and how many. --quick scales the viewers down with the time."""

    warmup: float = 8
    window: float = 30
    viewers: float = 1.0
    settle: float = 4.5  # of a lone viewer before memory is looked at: two GOPs
    count_calls: float = 3

    def scaled(self, viewers):
        return viewers if viewers <= 100 else max(100, int(viewers * self.viewers))


QUICK = Pace(warmup=1, window=2.5, viewers=0.3, settle=0.5, count_calls=0.5)
QUICK_SKIPS = {"cold-flv", "stalled-flv", "latency-flv", "joins-flv", "loops-rtmp", "loops-flv"}


def prepare(tools):
    tools.prepare()


class Watch:
    """The CPU time of a server from here to end(), and whether others disturbed the measurement."""

    def __init__(self, pid):
        self.pid, self.cores = pid, self._cores()
        self.cpu, self.began = measure.cpu_seconds(pid), time.monotonic()

    def end(self):
        """CPU seconds, seconds, and the figures that report.doubts() looks at."""
        cpu, elapsed = measure.cpu_seconds(self.pid) - self.cpu, time.monotonic() - self.began
        server, load = [[after - before for before, after in zip(*times)]
                        for times in zip(self.cores, self._cores())]
        return cpu, elapsed, {"server_core_foreign": max(0.0, server[0] - cpu) / elapsed,
                              "load_core_idle": load[1] / elapsed,
                              "stolen": (server[2] + load[2]) / elapsed}

    @staticmethod
    def _cores():
        return [measure.core_times(core) for core in (SERVER_CORE, LOAD_CORE)]


def quantile(ordered, share):
    """Of a sorted list; None if that is empty."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


@contextlib.contextmanager
def running(tools, server):
    """An origin, and `server` behind it; the origin itself when server is None."""
    origin = Origin(tools)
    try:
        origin.start()
        yield origin, (server.start(origin) if server else origin)
    finally:
        if server:
            server.stop()
        origin.stop()


def observe(tools, pace, server, protocol, viewers, primer=True, **options):
    """Viewers over a warm-up and a window, with everything that can be read meanwhile."""
    with running(tools, server) as (origin, target), contextlib.ExitStack() as cleanup:
        url, pid = target.url(protocol), target.process.pid
        if primer and server and server.pulls:  # now the stream is warm and its log is in memory
            lone = Viewers(tools, url, 1, samples=0, warmup=0, seconds=0)
            cleanup.callback(lone.stop)
            lone.wait_for("joined")
            time.sleep(pace.settle)
        resident_before = measure.resident_kb(pid)
        load = Viewers(tools, url, viewers,
                       **{"rate": 500, "warmup": pace.warmup, "seconds": pace.window} | options)
        cleanup.callback(load.stop)
        load.wait_for("joined")
        load.wait_for("begin")
        watch = Watch(pid)
        load.wait_for("end")
        cpu, elapsed, quiet = watch.end()
        resident = measure.resident_kb(pid) - resident_before
        result = load.result()
        calls = measure.system_calls(pid, pace.count_calls) if pace.count_calls else None
        upstream = origin.stats()

    watching = viewers - options.get("stalled", 0)
    # The origin's own connections to a relay are counted by it just as an edge's one pull is.
    plays = upstream["flv_plays_ever" if protocol == "flv" and not (server and server.pulls)
                     else "rtmp_plays_ever"]
    if not server:
        quiet["server_core_foreign"] = None
    return result | quiet | {
        "cpu_s_per_gb": cpu / (result["bytes"] / 1e9) if result["bytes"] else None,
        "us_per_viewer_s": cpu / elapsed / watching * 1e6,
        "kb_per_viewer": resident / viewers,
        "resident_growth_mb": resident / 1024,
        "calls_per_viewer_s": calls / watching if calls is not None else None,
        "upstream": plays,
        "trouble": result["lost"] + result["refused"],
        "delivered": result["bytes"] * 8 / 1e6 / watching / result["window_s"] / tools.clip_mbps(),
    }


def side(make_server, protocol, viewers, **options):
    def run(tools, pace):
        server = make_server(tools) if make_server else None
        return observe(tools, pace, server, protocol, pace.scaled(viewers), **options)
    return run


def weir_edge(window):
    return lambda tools: Weir(tools, "edge", window)


def weir_proxy(tools):
    return Weir(tools, "proxy")


def fanout(protocol, window, viewers, bars):
    sides = {"weir": side(weir_edge(window), protocol, viewers)}
    if protocol == "rtmp":
        sides["nginx-rtmp"] = side(NginxRtmp, protocol, viewers)
    name = {"0": "frame"}.get(window, window)
    return Scenario(f"fanout-{name}-{protocol}",
                    f"fan-out, {viewers} viewers, window {window}, {protocol}", sides,
                    [*bars, Bar("memory per viewer, KB", "kb_per_viewer", 2),
                     Bar("upstream connections", "upstream", 1),
                     Bar("viewers lost or refused", "trouble", 0)])


def joins(protocol):
    def run_side(make_server):
        def run(tools, pace):
            quiet = dataclasses.replace(pace, warmup=0, window=0.2, count_calls=0)
            return observe(tools, quiet, make_server(tools), protocol, pace.scaled(500), rate=250,
                           samples=0)
        return run
    sides = {"weir": run_side(weir_edge("auto"))}
    if protocol == "rtmp":
        sides["nginx-rtmp"] = run_side(NginxRtmp)
    return Scenario(f"joins-{protocol}", f"500 joins at 250/s on a warm stream, {protocol}", sides,
                    [Bar("join p99, ms", "join_p99_ms", 50),
                     Bar("viewers lost or refused", "trouble", 0)])


def cold(protocol):
    """Joins are counted from the later of connect() and the first byte that the origin sent."""
    def run(tools, pace):
        viewers = pace.scaled(10_000)
        with running(tools, Weir(tools, "edge")) as (origin, target):
            load = Viewers(tools, target.url(protocol), viewers, rate=viewers / 2, samples=0,
                           warmup=0, seconds=2, raw=1)
            try:
                for word in ("joined", "begin", "end"):
                    load.wait_for(word)
                result, upstream = load.result(), origin.stats()
            finally:
                load.stop()
        pairs = result.pop("joins_ns")
        first_ns = upstream["first_media_ns"]
        after = sorted((keyframe - max(connect, first_ns)) / 1e6 if keyframe >= 0 else NEVER_MS
                       for connect, keyframe in pairs)
        return result | {"upstream": upstream["rtmp_plays_ever"],
                         "trouble": result["lost"] + result["refused"],
                         "after_first_byte_p50_ms": after[len(after) // 2],
                         "after_first_byte_p99_ms": after[int(len(after) * 0.99)],
                         "not_joined": result["viewers"] - result["joined"]}
    return Scenario(f"cold-{protocol}", f"10,000 viewers within 2 s on a cold stream, {protocol}",
                    {"weir": run},
                    [Bar("upstream connections", "upstream", 1),
                     Bar("viewers lost or refused", "trouble", 0),
                     Bar("viewers without a keyframe", "not_joined", 0),
                     Bar("p99 after the origin's first byte, ms", "after_first_byte_p99_ms", 2000)])


def latency(protocol):
    sides = {"origin": side(None, protocol, 10, samples=10),
             "weir": side(weir_edge("auto"), protocol, 100)}
    if protocol == "rtmp":
        sides["nginx-rtmp"] = side(NginxRtmp, protocol, 100)
    return Scenario(f"latency-{protocol}",
                    f"latency, 100 viewers, adaptive window, beside 10 at the origin, {protocol}",
                    sides,
                    [Bar("added latency p50, ms", "latency_p50_ms", 2, "difference", "weir", "origin"),
                     Bar("added latency p99, ms", "latency_p99_ms", 10, "difference", "weir",
                         "origin")])


def stalled(protocol):
    return Scenario(f"stalled-{protocol}", f"50 stalled viewers among 1000, {protocol}",
                    {"weir, none stalled": side(weir_edge("auto"), protocol, 1000),
                     "weir": side(weir_edge("auto"), protocol, 1000, stalled=50)},
                    [Bar(what, figure, limit, "difference", "weir", "weir, none stalled")
                     for what, figure, limit in (
                         ("largest frame gap, ms more", "largest_gap_ms", 50),
                         ("memory, MB more", "resident_growth_mb", 16))]
                    + [Bar("viewers lost or refused", "trouble", 0)])


def loops(protocol):
    """Two loops share the cores with the load, so only CPU per viewer says anything about them."""
    return Scenario(f"loops-{protocol}", f"1000 viewers, window 100ms, two loops, {protocol}",
                    {"weir": side(weir_edge("100ms"), protocol, 1000),
                     "weir, 2 loops": side(lambda tools: Weir(tools, "edge", "100ms", 2), protocol,
                                           1000)},
                    [Bar("CPU per viewer : one loop", "us_per_viewer_s", 1.1, "ratio",
                         "weir, 2 loops", "weir"),
                     Bar("upstream connections", "upstream", 1, side="weir, 2 loops")])


def relay(protocol):
    return Scenario(f"relay-{protocol}", f"relay, 300 connections, {protocol}",
                    {"weir": side(weir_proxy, protocol, 300),
                     "haproxy": side(Haproxy, protocol, 300),
                     "nginx stream": side(NginxStream, protocol, 300)},
                    [Bar("CPU per GB : haproxy", "cpu_s_per_gb", 1.25, "ratio", "weir", "haproxy"),
                     Bar("viewers lost or refused", "trouble", 0)])


def peer_ratio(limit):
    return Bar("CPU per viewer-second : nginx-rtmp", "us_per_viewer_s", limit, "ratio", "weir",
               "nginx-rtmp")


def all_scenarios():
    found = []
    for protocol in ("rtmp", "flv"):
        ratios = (lambda limit: [peer_ratio(limit)]) if protocol == "rtmp" else (lambda limit: [])
        found += [
            fanout(protocol, "350ms", 1000,
                   [Bar("CPU us per viewer-second", "us_per_viewer_s", 90),
                    Bar("CPU-seconds per GB", "cpu_s_per_gb", 0.7)]),
            fanout(protocol, "100ms", 1000,
                   [Bar("CPU us per viewer-second", "us_per_viewer_s", 130), *ratios(0.35)]),
            fanout(protocol, "0", 500,
                   [Bar("CPU us per viewer-second", "us_per_viewer_s", 290), *ratios(0.7)]),
            joins(protocol), latency(protocol), relay(protocol), stalled(protocol), cold(protocol),
            loops(protocol)]
    return found
