"""A weir process under test."""

import http.client
import json
import os
import re
import subprocess

from support.scene import REPOSITORY, SLOWNESS, clean_environment, free_port, wait_until

BINARY = os.path.abspath(os.environ.get("WEIR_BINARY") or os.path.join(REPOSITORY, "build/release/weir"))

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")


def request(port, method, path, body=None, host="127.0.0.1", headers=None, timeout=10):
    """(status, headers, body) of one HTTP request."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def established(port):
    """Connections to a local port, as the kernel counts them on the accepting side."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                count += int(fields[1].rsplit(":", 1)[1], 16) == port and fields[3] == "01"
    return count


def run_weir(scene, *arguments, env=None, seconds=5 * SLOWNESS):
    """(status, standard output, standard error) of a weir that should end by itself; status None if it does not."""
    process = subprocess.Popen(
        [BINARY, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=scene.directory,
        env={**clean_environment(), **(env or {})},
    )
    try:
        output, errors = process.communicate(timeout=seconds)
        return process.returncode, output, errors
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        return None, output, errors


class Weir:
    """`upstreams`: {name: {"rtmp": port, "http": port}}; `options`: {"edge.linger": "2s"}; `wrap`: words before the
    command."""

    def __init__(
        self,
        scene,
        role,
        name=None,
        upstreams=None,
        options=None,
        limits=(),
        host="127.0.0.1",
        ready=True,
        wrap=(),
    ):
        self.scene, self.role, self.name = scene, role, name or role
        self.host = host
        self.rtmp, self.http, self.system = free_port(), free_port(), free_port()
        self.options = {
            "listen.rtmp": self._at(self.rtmp),
            "listen.http": self._at(self.http),
            "listen.api": "",
            "listen.webrtc": "",
            "listen.srt": "",
            "listen.rtsp": "",
            "listen.system": f"127.0.0.1:{self.system}",
            "node.id": self.name,
            "log.level": "debug",
        }
        for upstream, ports in (upstreams or {}).items():
            for key, value in {"host": "127.0.0.1", **ports}.items():
                self.options[f"upstream.{upstream}.{key}"] = value
        self.options.update(options or {})
        self._limits, self._wrap = limits, wrap
        self.start(ready)

    def _at(self, port):
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def start(self, ready=True):
        sets = [word for key, value in self.options.items() for word in ("--set", f"{key}={value}")]
        self.process = self.scene.start(
            f"weir-{self.name}", [*self._wrap, BINARY, f"--role={self.role}", *sets], limits=self._limits
        )
        self.wait_for("/readyz" if ready else "/healthz")
        return self

    def wait_for(self, page):
        def answers():
            if not self.process.running():
                raise AssertionError(f"{self.name} ended at once: {self.process.text()[-800:]}")
            try:
                return request(self.system, "GET", page)[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(answers, f"{self.name} answers {page}", 10 * SLOWNESS)

    def as_upstream(self):
        return {"rtmp": self.rtmp, "http": self.http}

    def rtmp_url(self, stream, app="live"):
        return f"rtmp://{self._at(self.rtmp)}/{app}/{stream}"

    def flv_url(self, stream, app="live"):
        return f"http://{self._at(self.http)}/{app}/{stream}.flv"

    def register(self, origin, **changes):
        """One heartbeat of an origin; (status, answer)."""
        body = {**origin.registration(), **changes}
        status, _, text = request(
            self.system,
            "POST",
            "/api/v1/srs/register",
            json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        return status, json.loads(text)

    def metrics(self):
        """{name: {labels as text: value}}"""
        status, _, text = request(self.system, "GET", "/metrics")
        assert status == 200, text
        found = {}
        for line in text.decode().splitlines():
            match = _SAMPLE.match(line)
            if match and not line.startswith("#"):
                found.setdefault(match[1], {})[match[2] or ""] = float(match[3])
        return found

    def metric(self, name, label=""):
        """The sum over all labels that contain `label`; 0 for a metric that does not exist yet."""
        return sum(value for labels, value in self.metrics().get(name, {}).items() if label in labels)

    def log(self):
        return self.process.text()
