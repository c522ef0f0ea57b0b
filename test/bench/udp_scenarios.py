"""The UDP suite, `./dev bench udp`: SRT through weir and datagrams through nginx's stream module."""

import json
import os
import subprocess

import measure
from scenarios import Bar, Pace, Scenario, Watch
from servers import LOAD_CORE, NginxStream, Server, Weir

QUICK = Pace(warmup=0.5, window=2, count_calls=0)
QUICK_SKIPS = set()


def prepare(tools):
    if not os.access(tools.tool("udp_load"), os.X_OK):
        raise SystemExit(f"{tools.tool('udp_load')} is missing: build the target bench_tools")


class WeirSrt(Weir):
    def __init__(self, tools):
        super().__init__(tools, role="proxy")

    def options(self, origin):
        return {"workers": 1, "listen.rtmp": "", "listen.http": "", "listen.api": "",
                "listen.webrtc": "", "listen.rtsp": "", "listen.srt": f"127.0.0.1:{self.rtmp_port}",
                "listen.system": f"127.0.0.1:{self.system_port}",
                "upstream.origin.host": "127.0.0.1", "upstream.origin.srt": origin}


class NginxUdp(NginxStream):
    label = "nginx"

    def command(self, origin):
        self.origin = origin
        return super().command(Server(self.tools))

    def _write(self, name, text):
        begin, end = text.index("  server {"), text.index("\n}", text.index("stream {"))
        server = (f"  server {{ listen 127.0.0.1:{self.rtmp_port} udp; "
                  f"proxy_pass 127.0.0.1:{self.origin}; }}")
        return super()._write(name, text[:begin] + server + text[end:])

    def ready(self):
        with open("/proc/net/udp") as table:
            return f":{self.rtmp_port:04X} " in table.read()


def packets(rate, flows):
    """1200-byte packets from `flows` callers."""
    def side(make_server):
        def run(tools, pace):
            origin = measure.free_port()
            server = make_server(tools)
            load = None
            try:
                server.start(origin)
                load = measure.start(
                    [tools.tool("udp_load"), f"--port={server.rtmp_port}", f"--origin={origin}",
                     f"--flows={flows}", f"--rate={rate}", f"--warmup={pace.warmup}",
                     f"--window={pace.window}"], LOAD_CORE,
                    os.path.join(tools.work_dir, "udp_load.log"), stdout=subprocess.PIPE, text=True)
                expect(load, "begin")
                watch = Watch(server.process.pid)
                expect(load, "end")
                cpu, _, figures = watch.end()
                result = json.loads(load.stdout.readline())
            finally:
                server.stop()
                if load:
                    measure.stop(load)
            return figures | {
                "packets_per_s": result["received"] / pace.window,
                "cpu_s_per_million": cpu / result["received"] * 1e6,
                "lost_per_million": max(0, 1 - result["received"] / result["sent"]) * 1e6,
            }
        return run
    return side


def expect(load, word):
    line = load.stdout.readline().strip()
    if line != word:
        raise RuntimeError(f"udp_load said '{line}' where '{word}' was due")


def all_scenarios():
    def both(rate, flows):
        return {server.label: packets(rate, flows)(server) for server in (WeirSrt, NginxUdp)}

    half = Bar("CPU per packet : nginx", "cpu_s_per_million", 0.5, "ratio", "weir", "nginx")
    none_lost = Bar("packets lost of a million", "lost_per_million", 0)
    return [
        Scenario("srt-steady", "SRT, 1200 bytes, 10 publishers, 50,000 packets/s",
                 both(50_000, 10), [half, none_lost]),
        Scenario("srt-many", "SRT, 1200 bytes, 100 publishers, 20,000 packets/s",
                 both(20_000, 100), [half, none_lost]),
        Scenario("srt-fast", "SRT, 1200 bytes, 10 publishers, 150,000 packets/s",
                 both(150_000, 10), [none_lost]),
    ]
