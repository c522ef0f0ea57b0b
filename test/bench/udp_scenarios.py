"""The UDP suite, `./dev bench udp`: SRT and WebRTC through weir, the same datagrams through nginx's stream
module."""

import http.server
import json
import os
import subprocess
import threading
import urllib.request

import measure
from scenarios import Bar, Pace, Scenario, Watch
from servers import LOAD_CORE, NginxStream, Server, Weir

QUICK = Pace(warmup=0.5, window=2, count_calls=0)
QUICK_SKIPS = set()


def prepare(tools):
    if not os.access(tools.tool("udp_load"), os.X_OK):
        raise SystemExit(f"{tools.tool('udp_load')} is missing: build the target bench_tools")


class WeirSrt(Weir):
    protocol = "srt"

    def __init__(self, tools):
        super().__init__(tools, role="proxy")

    def options(self, origin):
        return self.common() | {"listen.srt": f"127.0.0.1:{self.rtmp_port}",
                                "upstream.origin.srt": origin}

    def common(self):
        listeners = dict.fromkeys(("rtmp", "http", "api", "webrtc", "rtsp", "srt"), "")
        return {"workers": 1, "listen.system": f"127.0.0.1:{self.system_port}",
                "upstream.origin.host": "127.0.0.1"} | {
                    f"listen.{name}": value for name, value in listeners.items()}

    def announce(self, flows):
        """Makes the sessions of those flows known, as far as their packets do not do that."""


class WeirWebrtc(WeirSrt):
    protocol = "webrtc"

    def options(self, origin):
        self.whip = WhipOrigin(origin)
        return self.common() | {"listen.http": f"127.0.0.1:{self.http_port}",
                                "listen.webrtc": f"127.0.0.1:{self.rtmp_port}",
                                "upstream.origin.http": self.whip.port}

    def announce(self, flows):
        for flow in range(flows):
            offer = urllib.request.Request(
                f"http://127.0.0.1:{self.http_port}/whip/live/{flow}",
                description(f"client{flow}").encode(), {"Content-Type": "application/sdp"})
            urllib.request.urlopen(offer, timeout=5).close()

    def stop(self):
        super().stop()
        self.whip.server.shutdown()


class WhipOrigin:
    """Answers offers: the media is at one port, and the flow that offers as clientN is known as originN."""

    def __init__(self, media_port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                flow = body.partition("a=ice-ufrag:client")[2].splitlines()[0]
                answer = (description(f"origin{flow}") +
                          f"a=candidate:1 1 udp 1 127.0.0.1 {media_port} typ host\r\n").encode()
                self.send_response(201)
                self.send_header("Content-Type", "application/sdp")
                self.send_header("Location", f"/sessions/{flow}")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def description(ufrag):
    """The least of SDP that offers or answers one section; udp_load knows the password."""
    return "\r\n".join((
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0", "a=mid:0", f"a=ice-ufrag:{ufrag}",
        "a=ice-pwd:passwordpasswordpassword", ""))


class NginxUdp(NginxStream):
    label = "nginx"

    def announce(self, flows):
        pass

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


def packets(protocol, rate, flows, burst):
    """1200-byte packets from `flows` callers, each of which sends at least `burst` at once."""
    def side(make_server):
        def run(tools, pace):
            origin = measure.free_port()
            server = make_server(tools)
            load = None
            try:
                server.start(origin)
                server.announce(flows)
                load = measure.start(
                    [tools.tool("udp_load"), f"--protocol={protocol}", f"--port={server.rtmp_port}",
                     f"--origin={origin}",
                     f"--flows={flows}", f"--rate={rate}", f"--burst={burst}", f"--warmup={pace.warmup}",
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
    def ratio(limit):
        return Bar("CPU per packet : nginx", "cpu_s_per_million", limit, "ratio", "weir", "nginx")

    none_lost = Bar("packets lost of a million", "lost_per_million", 0)

    def scenario(relay, name, rate, flows, burst=1, bars=(ratio(0.5), none_lost)):
        protocol = relay.protocol
        kind = {"srt": "SRT", "webrtc": "WebRTC"}[protocol]
        by = f", {burst} at once" if burst > 1 else ""
        return Scenario(f"{protocol}-{name}",
                        f"{kind}, 1200 bytes, {flows} publishers, {rate:,} packets/s{by}",
                        {server.label: packets(protocol, rate, flows, burst)(server)
                         for server in (relay, NginxUdp)}, list(bars))

    return [scenario(WeirSrt, "steady", 50_000, 10),
            scenario(WeirSrt, "many", 20_000, 100),
            scenario(WeirSrt, "fast", 150_000, 10),
            scenario(WeirWebrtc, "steady", 50_000, 10),
            # 25 pictures a second of 8 packets each. A turn has five of them, each for another socket.
            scenario(WeirWebrtc, "pictures", 20_000, 100, burst=8),
            # A packet at a time from each: its session's socket is its own, so nothing can be joined.
            scenario(WeirWebrtc, "lone", 20_000, 100, bars=[none_lost]),
            scenario(WeirWebrtc, "fast", 150_000, 10)]
