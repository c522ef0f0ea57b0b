"""Headless Chromium on a page of this folder, which tells the test what it sees by POST /report."""

import http.server
import json
import os
import threading
import time
import urllib.parse

from support.scene import SLOWNESS, free_port, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # Candidates with addresses instead of mDNS names, and on loopback.
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
    "--allow-loopback-in-peer-connection",
]


class Page:
    """One browser with one page; `latest` is its last report, `order` what each is answered with."""

    def __init__(self, scene, name, page, **arguments):
        self.reports, self.order = [], "go on"
        self.port = free_port()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = urllib.parse.urlsplit(self.path).path == "/"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                if found:
                    with open(os.path.join(HERE, page), "rb") as file:
                        self.wfile.write(file.read())

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.reports.append({"at": time.monotonic(), **json.loads(body)})
                self.send_response(200)
                self.end_headers()
                self.wfile.write(owner.order.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        query = urllib.parse.urlencode(arguments)
        profile = os.path.join(scene.directory, f"{name}-profile")
        self.process = scene.start(
            name, [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{self.port}/?{query}"]
        )
        scene.at_end(self.close)

    @property
    def latest(self):
        for report in self.reports:
            assert "error" not in report, report
        return self.reports[-1] if self.reports else {}

    def wait_for(self, fact, least, seconds=30):
        return wait_until(
            lambda: self.latest.get(fact, 0) >= least and self.latest,
            lambda: f"{fact} is {least} in {self.latest}",
            seconds * SLOWNESS,
            0.1,
        )

    def stop(self):
        """Ends the page's session as its user would; the status of the DELETE."""
        self.order = "stop"
        return self.wait_for("deleted", 1)["deleted"]

    def close(self):
        self.process.stop()
        self.server.shutdown()
        self.server.server_close()
