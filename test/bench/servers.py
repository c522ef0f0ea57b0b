"""The processes of one measurement: the origin and the viewers on one core, the server
under test on the other."""

import json
import os
import subprocess
import sys

import measure

_cores = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _cores[0], _cores[min(1, len(_cores) - 1)]
CLIP_SECONDS = 10
NGINX_MODULES = "/usr/lib/nginx/modules"


class Tools:
    """Where things are, and one directory for everything that is written."""

    def __init__(self, weir, bench_dir, work_dir):
        self.weir = weir if os.access(weir, os.X_OK) else None
        self.bench_dir, self.work_dir = bench_dir, work_dir
        self.clip = os.path.join(bench_dir, "bench-1mbps-720p25.flv")

    def tool(self, name):
        return os.path.join(self.bench_dir, name)

    def clip_mbps(self):
        return os.path.getsize(self.clip) * 8 / 1e6 / CLIP_SECONDS

    def prepare(self):
        """Encodes the clip, once: 1 Mb/s, 25 fps, 720p, a keyframe every 2 s."""
        for name in ("replay_origin", "viewer_load"):
            if not os.access(self.tool(name), os.X_OK):
                sys.exit(f"{self.tool(name)} is missing: build the target bench_tools, "
                         "or set WEIR_BENCH_DIR")
        if os.path.exists(self.clip):
            return
        print("encoding the clip", flush=True)
        unfinished = self.clip + ".part.flv"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
             "testsrc2=size=1280x720:rate=25,noise=alls=6:allf=t", "-f", "lavfi", "-i",
             "sine=frequency=330:sample_rate=44100", "-t", str(CLIP_SECONDS), "-pix_fmt", "yuv420p",
             "-c:v", "libx264", "-profile:v", "baseline", "-preset", "veryfast",
             "-tune", "zerolatency", "-threads", "1", "-g", "50", "-keyint_min", "50",
             "-sc_threshold", "0", "-b:v", "1M", "-minrate", "1M", "-maxrate", "1M",
             "-bufsize", "500k", "-c:a", "aac", "-b:a", "64k",
             "-flvflags", "no_duration_filesize", unfinished], check=True)
        os.rename(unfinished, self.clip)


class Server:
    """Something that serves rtmp_port, http_port or both. `label` is what the tables call it."""

    label, core = "", SERVER_CORE
    pulls = True  # whether it is an edge, which the origin must see once

    def __init__(self, tools):
        self.tools = tools
        self.rtmp_port, self.http_port = measure.free_port(), measure.free_port()
        self.process = None
        self.log = os.path.join(tools.work_dir, f"{self.label}.log".replace(" ", "-"))

    def command(self, origin):
        raise NotImplementedError

    def ready(self):
        return measure.accepts(self.rtmp_port)

    def start(self, origin=None):
        self.process = measure.start(self.command(origin), self.core, self.log)
        measure.wait_until(lambda: self.process.poll() is not None or self.ready(), self.label)
        if self.process.poll() is not None:
            with open(self.log, errors="replace") as log:
                raise RuntimeError(f"{self.label} ended at once: " + log.read()[-600:])
        return self

    def stop(self):
        if self.process:
            measure.stop(self.process)

    def url(self, protocol):
        if protocol == "rtmp":
            return f"rtmp://127.0.0.1:{self.rtmp_port}/live/bench"
        return f"http://127.0.0.1:{self.http_port}/live/bench.flv"

    def _write(self, name, text):
        path = os.path.join(self.tools.work_dir, name)
        with open(path, "w") as file:
            file.write(text)
        return path


class Origin(Server):
    label, core, pulls = "origin", LOAD_CORE, False

    def command(self, origin):
        return [self.tools.tool("replay_origin"), f"--clip={self.tools.clip}",
                f"--rtmp={self.rtmp_port}", f"--http={self.http_port}"]

    def stats(self):
        return json.loads(measure.http_get(self.http_port, "/stats"))


class Weir(Server):
    label = "weir"

    def __init__(self, tools, role="edge", window="auto", workers=1):
        super().__init__(tools)
        self.workers = workers
        if workers > 1:
            self.core = f"{SERVER_CORE},{LOAD_CORE}"
        self.role, self.window, self.system_port = role, window, measure.free_port()
        self.pulls = role == "edge"

    def options(self, origin):
        options = {"workers": self.workers, "listen.rtmp": f"127.0.0.1:{self.rtmp_port}",
                   "listen.http": f"127.0.0.1:{self.http_port}", "listen.api": "",
                   "listen.webrtc": "", "listen.srt": "",
                   "listen.system": f"127.0.0.1:{self.system_port}",
                   "upstream.origin.host": "127.0.0.1", "upstream.origin.rtmp": origin.rtmp_port,
                   "upstream.origin.http": origin.http_port}
        if self.role == "edge":
            options |= {"edge.pull": "rtmp", "edge.merge_window": self.window}
        return options

    def command(self, origin):
        sets = [word for key, value in self.options(origin).items()
                for word in ("--set", f"{key}={value}")]
        return [self.tools.weir, f"--role={self.role}", *sets]

    def ready(self):
        return measure.http_get(self.system_port, "/readyz") is not None


class NginxRtmp(Server):
    """Debian's nginx-rtmp as a pull edge, with its own defaults where they do not end sessions."""

    label = "nginx-rtmp"

    def command(self, origin):
        return nginx(self, f"""
load_module {NGINX_MODULES}/ngx_rtmp_module.so;
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{self.rtmp_port};
    ping 0;
    application live {{ live on; wait_key on; pull rtmp://127.0.0.1:{origin.rtmp_port}/live; }}
  }}
}}""")


class NginxStream(Server):
    label, pulls = "nginx stream", False

    def command(self, origin):
        return nginx(self, f"""
load_module {NGINX_MODULES}/ngx_stream_module.so;
stream {{
  server {{ listen 127.0.0.1:{self.rtmp_port}; proxy_pass 127.0.0.1:{origin.rtmp_port}; }}
  server {{ listen 127.0.0.1:{self.http_port}; proxy_pass 127.0.0.1:{origin.http_port}; }}
}}""")


def nginx(server, blocks):
    path = server._write(f"{server.label}.conf".replace(" ", "-"), f"""
{blocks}
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {server.tools.work_dir}/nginx.pid;
error_log {server.log} error;
events {{ worker_connections 19900; }}
""")
    return ["nginx", "-p", server.tools.work_dir, "-e", server.log, "-c", path]


class Haproxy(Server):
    label, pulls = "haproxy", False

    def command(self, origin):
        def listener(name, port, target):
            return (f"listen {name}\n  bind 127.0.0.1:{port}\n"
                    f"  server origin 127.0.0.1:{target}\n")

        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
{listener("rtmp", self.rtmp_port, origin.rtmp_port)}
{listener("flv", self.http_port, origin.http_port)}""")]


class Viewers:
    """One viewer_load process. Its result is a dictionary."""

    def __init__(self, tools, url, count, **options):
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        self.process = measure.start(
            [tools.tool("viewer_load"), f"--url={url}", f"--viewers={count}", "--hold", "--json",
             *words], LOAD_CORE, os.path.join(tools.work_dir, "viewer_load.log"),
            stdout=subprocess.PIPE, text=True)

    def wait_for(self, word):
        """REQUIRES: words are waited for in the order joined, begin, end."""
        line = self.process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"viewer_load said '{line}' where '{word}' was due")

    def result(self):
        """What was not seen is left out: a zero would say something untrue."""
        result = json.loads(self.process.stdout.readline())
        unseen = [] if result["frames"] else ["latency_p50_ms", "latency_p99_ms", "largest_gap_ms",
                                              "lost_frames"]
        unseen += [] if result["joined"] else ["join_p50_ms", "join_p99_ms", "join_max_ms"]
        return {figure: value for figure, value in result.items() if figure not in unseen}

    def stop(self):
        measure.stop(self.process)
