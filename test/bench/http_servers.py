"""The processes of the HTTP suite: its origin, the caches under test, and those who ask."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time

import measure
from servers import LOAD_CORE, Server, Weir, nginx

CACHE_MB = 256  # of every cache; in MiB, as all of them count
PLAYLIST = "/live/bench.m3u8"
_HERE = os.path.dirname(os.path.abspath(__file__))


def segment(number):
    return f"/live/segments/{number}.m4s"


def prepare(_tools):
    for program in ("wrk", "h2load", "nginx", "varnishd"):
        if not shutil.which(program):
            sys.exit(f"{program} is missing: ./dev bench installs it")


class SegmentOrigin(Server):
    label, core = "origin", LOAD_CORE

    def command(self, origin):
        return [sys.executable, "-B", os.path.join(_HERE, "segment_origin.py"),
                f"--http={self.http_port}"]

    def ready(self):
        return measure.accepts(self.http_port)

    def stats(self):
        return json.loads(measure.http_get(self.http_port, "/stats"))

    def fetches(self, *paths):
        counts = self.stats()["fetches"]
        return sum(counts.get(path, 0) for path in paths)


class _Cache(Server):
    """Ready when it has got something from the origin, so that its first connection is there too."""

    def ready(self):
        return measure.http_get(self.http_port, "/live/ready.m3u8") is not None

    def cache_files(self):
        """The folder where it keeps what it caches, if that is not its memory."""
        return None


class WeirCache(_Cache, Weir):
    label = "weir"

    def options(self, origin):
        options = super().options(origin) | {"cache.memory": f"{CACHE_MB}MiB"}
        del options["upstream.origin.rtmp"]
        return options


class NginxCache(_Cache):
    """proxy_cache with what Debian's nginx.conf switches on, sendfile and tcp_nopush, and one fetch at a time
    for each key. Connections may carry any number of requests. `variant` is more, or something else."""

    label, variant, more = "nginx", "proxy_cache_lock on;", ""

    def cache_files(self):
        return os.path.join(self.tools.work_dir, f"{self.label}.cache".replace(" ", "-"))

    def command(self, origin):
        shutil.rmtree(self.cache_files(), ignore_errors=True)
        return nginx(self, f"""
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  proxy_cache_path {self.cache_files()} levels=1:2 keys_zone=bench:10m max_size={CACHE_MB}m
                   inactive=1h use_temp_path=off;
  upstream origin {{ server 127.0.0.1:{origin.http_port}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{self.http_port};
    {self.more}
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
      {self.variant}
    }}
  }}
}}""")


def encrypted(kind):
    """The same server, at `https_port` too, over TLS with HTTP/2."""
    class Encrypted(kind):
        def __init__(self, tools):
            super().__init__(tools)
            self.https_port = measure.free_port()
            self.chain, self.key = (os.path.join(tools.work_dir, f"bench.{end}") for end in ("pem", "key"))
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-subj", "/CN=bench", "-out", self.chain, "-keyout", self.key],
                           check=True, capture_output=True)

    return Encrypted


class WeirH2(encrypted(WeirCache)):
    def options(self, origin):
        return super().options(origin) | {"listen.https": f"127.0.0.1:{self.https_port}",
                                          "tls.certificates": f"{self.chain}:{self.key}"}


class NginxH2(encrypted(NginxCache)):
    def __init__(self, tools):
        super().__init__(tools)
        self.more = (f"listen 127.0.0.1:{self.https_port} ssl http2; ssl_certificate {self.chain}; "
                     f"ssl_certificate_key {self.key}; http2_max_requests 100000000;")


class NginxNoLock(NginxCache):
    label, variant = "nginx, no lock", ""


class NginxOpenFiles(NginxCache):
    label = "nginx, files open"
    variant = NginxCache.variant + " open_file_cache max=10000;"


class Varnish(_Cache):
    """Debian's defaults, objects in memory, no VCL but the built-in one."""

    label = "varnish"

    def command(self, origin):
        folder = os.path.join(self.tools.work_dir, "varnish")
        return ["varnishd", "-F", "-j", "none", "-n", folder, "-s", f"malloc,{CACHE_MB}m",
                "-a", f"127.0.0.1:{self.http_port}", "-b", f"127.0.0.1:{origin.http_port}"]


_WRK_SCRIPT = """
local requests, last = {%s}, 0
if #requests > 1 then
  init = function(args)
    for i, path in ipairs(requests) do requests[i] = wrk.format("GET", path) end
  end
  request = function()
    last = last %% #requests + 1
    return requests[last]
  end
end
done = function(summary)
  local errors = summary.errors
  io.write(string.format('\\n{"requests": %%d, "bytes": %%d, "us": %%d, "failed": %%d}\\n',
      summary.requests, summary.bytes, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


class HttpLoad:
    """A tool that loads the server for some seconds and says in the end what it got."""

    def run(self, seconds):
        process = measure.start(self.command(seconds), LOAD_CORE, stdout=subprocess.PIPE, text=True)
        try:
            return self.result(process.communicate(timeout=seconds + 20)[0])
        finally:
            measure.stop(process)


class Wrk(HttpLoad):
    """wrk on 64 kept-alive connections, asking for `paths` in turn."""

    def __init__(self, tools, server, paths):
        self.script = os.path.join(tools.work_dir, "wrk.lua")
        with open(self.script, "w") as file:
            file.write(_WRK_SCRIPT % ", ".join(f'"{path}"' for path in paths))
        self.url = f"http://127.0.0.1:{server.http_port}{paths[0]}"

    def command(self, seconds):
        """wrk knows whole seconds only."""
        return ["wrk", "-t1", "-c64", f"-d{max(1, round(seconds))}s", "-s", self.script, self.url]

    @staticmethod
    def result(output):
        if not output.strip().endswith("}"):
            raise RuntimeError(f"wrk said {output[-300:]!r}")
        return json.loads(output.strip().splitlines()[-1])


class H2Load(HttpLoad):
    """h2load on 16 connections, each with 4 requests under way."""

    def __init__(self, _tools, server, paths):
        # The name by which the cache was filled.
        self.name = f":authority: 127.0.0.1:{server.http_port}"
        self.urls = [f"https://127.0.0.1:{server.https_port}{path}" for path in paths]

    def command(self, seconds):
        return ["h2load", "-t1", "-c16", "-m4", "-D", max(1, round(seconds)), "--warm-up-time=0", "-H", self.name,
                *self.urls]

    @staticmethod
    def result(output):
        done = re.search(r"finished in ([\d.]+)(m?s),", output)
        counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
        size = re.search(r"traffic: \S+ \((\d+)\) total", output)
        if not done or not counts or not size:
            raise RuntimeError(f"h2load said {output[-300:]!r}")
        return {"requests": int(counts[2]), "bytes": int(size[1]),
                "us": float(done[1]) * (1e6 if done[2] == "s" else 1e3),
                "failed": sum(int(count) for count in counts.groups()[2:])}


class Asker(asyncio.BufferedProtocol):
    """A viewer on a connection of its own: one request, and when the first and last byte of its body came."""

    _buffer = bytearray(1 << 20)  # of all askers: what is in it is looked at before the next read

    @classmethod
    async def connect(cls, server):
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(cls, "127.0.0.1", server.http_port))[1]

    def __init__(self):
        self.asked_at = self.first_at = self.last_at = None
        self.head, self.missing = b"", None
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def ask(self, path):
        self.asked_at = time.monotonic()
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    def get_buffer(self, sizehint):
        return self._buffer

    def buffer_updated(self, count):
        now = time.monotonic()
        if self.missing is None:
            count = self._read_head(count)
        if count and self.first_at is None:
            self.first_at = now
        if count:
            self.missing -= count
            self.last_at = now
        if self.missing == 0 and not self.finished.done():
            self.finished.set_result(True)

    def _read_head(self, count):
        """How many of the bytes belong to the body."""
        self.head += self._buffer[:count]
        head, end, body = self.head.partition(b"\r\n\r\n")
        if not end:
            return 0
        fields = head.decode("latin-1").lower().split("\r\n")
        lengths = [field.partition(":")[2] for field in fields
                   if field.startswith("content-length:")]
        if fields[0].split(" ")[1] != "200" or len(lengths) != 1:
            self.transport.abort()
            return 0
        self.missing = int(lengths[0])
        return len(body)

    def connection_lost(self, error):
        if not self.finished.done():
            self.finished.set_result(False)

    async def end(self, seconds=10):
        """Whether all of the body came in time."""
        done, _ = await asyncio.wait([self.finished], timeout=seconds)
        self.transport.abort()
        return bool(done) and self.finished.result()
