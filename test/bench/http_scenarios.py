"""The HTTP suite, `./dev bench http`: the edge's cache beside nginx's and Varnish."""

import asyncio
import contextlib
import os

import measure
from http_servers import (PLAYLIST, Asker, H2Load, NginxCache, NginxH2, NginxNoLock, NginxOpenFiles,
                          SegmentOrigin, Varnish, WeirCache, WeirH2, Wrk, prepare, segment)
from scenarios import Bar, Pace, Scenario, Watch, quantile

QUICK = Pace(warmup=1, window=2, count_calls=1)
QUICK_SKIPS = set()
HOT_SEGMENTS = 20     # 10 MB: more than a core's own cache, and no more than a few streams' newest
STORED_SEGMENTS = 200  # 100 MB
ASKERS = 100


@contextlib.contextmanager
def running(tools, make_server):
    origin = SegmentOrigin(tools)
    server = make_server(tools)
    try:
        origin.start()
        yield origin, server.start(origin)
    finally:
        server.stop()
        origin.stop()


def hits(paths, load=Wrk):
    """Requests for what is cached, as many as the server or `load` can do."""
    def side(make_server):
        def run(tools, pace):
            with running(tools, make_server) as (origin, server):
                pid, asking = server.process.pid, load(tools, server, paths)
                if any(measure.http_get(server.http_port, path) is None for path in paths):
                    raise RuntimeError("not everything could be fetched")
                if pace.warmup:
                    asking.run(pace.warmup)
                watch = Watch(pid)
                result = asking.run(pace.window)
                cpu, _, figures = watch.end()
                calls, counted = None, {}
                if pace.count_calls:
                    calls, output = measure.count_calls(pid, asking.command(pace.count_calls))
                    counted = load.result(output) if calls is not None else {}
                fetches = origin.fetches(*paths)
            return figures | {
                "requests_per_s": result["requests"] / result["us"] * 1e6,
                "us_per_request": cpu / result["requests"] * 1e6,
                "cpu_s_per_gb": cpu / (result["bytes"] / 1e9),
                "gb_per_s": result["bytes"] / result["us"] / 1e3,
                "calls_per_request": calls / counted["requests"] if counted else None,
                "fetches_per_object": fetches / len(paths),
                "failed": result["failed"],
            }
        return run
    return side


def arriving(make_server):
    """Segment after segment that takes its origin a second. Behind the first asker, who has to wait for it,
    others come between two pieces: they could be answered at once. All end with the origin."""
    async def one(server, path):
        askers = [await Asker.connect(server) for _ in range(9)]
        for asker in askers:
            asker.ask(path)
            await asyncio.sleep(0.05 if asker is askers[0] else 0.1)
        whole = [await asker.end() for asker in askers]
        return askers[1:], whole[1:]

    def run(tools, pace):
        rounds = max(3, round(pace.window / 2))
        with running(tools, make_server) as (origin, server):
            paths = [f"/live/arriving/{number}.m4s" for number in range(rounds)]
            answers = [(path, asker, good) for path in paths
                       for asker, good in zip(*asyncio.run(one(server, path)))]
            stats = origin.stats()
        served = [(path, asker) for path, asker, good in answers if good]
        firsts = sorted((asker.first_at - asker.asked_at) * 1e3 for _, asker in served)
        lasts = sorted((asker.last_at - stats["complete_at"][path]) * 1e3 for path, asker in served)
        return {
            "first_byte_p50_ms": quantile(firsts, 0.5), "first_byte_p99_ms": quantile(firsts, 0.99),
            "last_byte_p50_ms": quantile(lasts, 0.5), "last_byte_p99_ms": quantile(lasts, 0.99),
            "fetches_per_object": sum(stats["fetches"][path] for path in paths) / rounds,
            "failed": len(answers) - len(served),
        }
    return run


def crowd(make_server):
    """Many ask at once for a segment that nobody has asked for."""
    async def all_at_once(server, path):
        askers = [await Asker.connect(server) for _ in range(ASKERS)]
        for asker in askers:
            asker.ask(path)
        return askers, [await asker.end() for asker in askers]

    def run(tools, pace):
        path = "/live/arriving/crowd.m4s"
        with running(tools, make_server) as (origin, server):
            askers, whole = asyncio.run(all_at_once(server, path))
            fetches = origin.fetches(path)
        firsts = sorted((asker.first_at - asker.asked_at) * 1e3
                        for asker, good in zip(askers, whole) if good)
        return {"first_byte_p50_ms": quantile(firsts, 0.5),
                "first_byte_p99_ms": quantile(firsts, 0.99),
                "fetches_per_object": fetches, "failed": ASKERS - sum(whole)}
    return run


def stored(make_server):
    """What a server grows by when it has fetched 100 MB, and whether it has them then."""
    def run(tools, pace):
        paths = [segment(number) for number in range(STORED_SEGMENTS)]
        with running(tools, make_server) as (origin, server):
            pid = server.process.pid
            before = measure.resident_kb(pid)
            bodies = [measure.http_get(server.http_port, path) for path in paths + paths]
            resident, fetches = measure.resident_kb(pid), origin.fetches(*paths)
            files = folder_bytes(server.cache_files())
        megabytes = sum(len(body) for body in bodies[:len(paths)] if body) / 1e6
        return {"resident_mb": resident * 1024 / 1e6,
                "mb_per_cached_mb": (resident - before) * 1024 / 1e6 / megabytes,
                "cache_files_mb": files / 1e6 if server.cache_files() else None,
                "fetches_per_object": fetches / len(paths), "failed": bodies.count(None)}
    return run


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(parent, name))
               for parent, _, names in os.walk(folder or os.devnull) for name in names)


def beside(side, *more):
    """weir and its peers; only those of the bars run with --quick."""
    return {server.label: side(server) for server in (WeirCache, NginxCache, Varnish, *more)}


def to_peer(what, figure, peer, limit=1.0):
    return Bar(f"{what} : {peer}", figure, limit, "ratio", "weir", peer)


def untroubled(fetches="fetches for an object"):
    return [Bar(fetches, "fetches_per_object", 1), Bar("failed requests", "failed", 0)]


def all_scenarios():
    return [
        Scenario("playlist-hits", "playlist of 1.2 KB, hits, 64 connections",
                 beside(hits([PLAYLIST]), NginxOpenFiles),
                 [Bar("requests/s, nginx : weir", "requests_per_s", 1, "ratio", "nginx", "weir"),
                  to_peer("CPU per request", "us_per_request", "nginx"),
                  *untroubled()]),
        Scenario("segment-hits", f"{HOT_SEGMENTS} segments of 500 KB, hits, 64 connections",
                 beside(hits([segment(number) for number in range(HOT_SEGMENTS)]), NginxOpenFiles),
                 [to_peer("CPU per GB", "cpu_s_per_gb", "nginx", 1.1),
                  to_peer("CPU per GB", "cpu_s_per_gb", "varnish"),
                  *untroubled()]),
        Scenario("h2-hits", f"{HOT_SEGMENTS} segments of 500 KB, hits, HTTP/2 over TLS, 64 under way",
                 {server.label: hits([segment(number) for number in range(HOT_SEGMENTS)], H2Load)(server)
                  for server in (WeirH2, NginxH2)},
                 [to_peer("CPU per GB", "cpu_s_per_gb", "nginx"), *untroubled()]),
        Scenario("arriving", "segment of 500 KB that takes its origin a second, 9 viewers",
                 beside(arriving, NginxNoLock),
                 [to_peer(what, figure, peer) for peer in ("nginx", "varnish")
                  for what, figure in (("first byte p50", "first_byte_p50_ms"),
                                       ("last byte p50", "last_byte_p50_ms"))]
                 + untroubled()),
        Scenario("crowd", f"{ASKERS} viewers at once on a cold segment", beside(crowd, NginxNoLock),
                 untroubled()),
        Scenario("stored", "memory with 100 MB of segments cached", beside(stored),
                 [to_peer("memory per cached MB", "mb_per_cached_mb", "varnish"),
                  *untroubled()]),
    ]
