"""Origins, one process each, loopback only: nginx with its RTMP module and its own statistics, and aiortc."""

import http.client
import json
import os
import xml.etree.ElementTree

from support.node import request
from support.scene import SLOWNESS, accepts, free_port, wait_until

CONFIG = """
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off;
master_process off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 2048; }}
rtmp {{
  access_log {directory}/rtmp.log;
  server {{
    listen 127.0.0.1:{rtmp};
    application live {{ live on; wait_key on; {live} }}
    application strict {{ live on; wait_key on; idle_streams off; }}
  }}
}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{http};
    location /stat {{ rtmp_stat all; }}
    location /files/ {{ alias {directory}/files/; }}
    {locations}
  }}
}}
"""


# HLS and DASH of the application "live", under the names that its streams have in RTMP; HLS also under /hls.
SEGMENTS = """
      hls on; hls_path {directory}/hls/live; hls_fragment 1s; hls_playlist_length 8s;
      dash on; dash_path {directory}/dash/live; dash_fragment 1s; dash_playlist_length 8s;
"""
SEGMENT_LOCATIONS = """
    types {{
      application/vnd.apple.mpegurl m3u8;
      application/dash+xml mpd;
      video/mp2t ts;
      video/mp4 m4v m4a;
    }}
    location /live/ {{ root {directory}/hls; }}
    location /hls/ {{ alias {directory}/hls/live/; }}
    location ~ ^/live/.*\\.(mpd|m4v|m4a)$ {{ root {directory}/dash; }}
"""


class Origin:
    """`live`: directives of that application; `segments`: it makes HLS and DASH too; `tls`: a certificate and its
    key, for HTTPS on the port `https`."""

    def __init__(self, scene, name="origin", live="", segments=False, tls=None):
        self.scene, self.name = scene, name
        self.rtmp, self.http = free_port(), free_port()
        self.directory = scene.path(name)
        self.service = 0
        os.mkdir(self.directory)
        os.mkdir(os.path.join(self.directory, "files"))
        with open(os.path.join(self.directory, "nginx.conf"), "w") as file:
            locations = ""
            if segments:
                live += SEGMENTS.format(directory=self.directory)
                locations = SEGMENT_LOCATIONS.format(directory=self.directory)
                for kind in ("hls", "dash"):
                    os.makedirs(os.path.join(self.directory, kind, "live"))
            if tls:
                self.https = free_port()
                locations += f"listen 127.0.0.1:{self.https} ssl; ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};"
            file.write(
                CONFIG.format(
                    directory=self.directory,
                    rtmp=self.rtmp,
                    http=self.http,
                    live=live,
                    locations=locations,
                )
            )
        self.start()

    def start(self):
        self.service += 1
        self.process = self.scene.start(
            self.name,
            [
                "nginx",
                "-c",
                f"{self.directory}/nginx.conf",
                "-p",
                self.directory,
                "-e",
                f"{self.directory}/error.log",
            ],
        )
        wait_until(lambda: accepts(self.rtmp) and accepts(self.http), f"{self.name} listens", 10)
        return self

    def url(self, stream, app="live"):
        return f"rtmp://127.0.0.1:{self.rtmp}/{app}/{stream}"

    def as_upstream(self):
        return {"rtmp": self.rtmp, "http": self.http}

    def registration(self):
        """Its heartbeat, as SRS would send it."""
        return {
            "ip": "127.0.0.1",
            "server": self.name,
            "service": f"s{self.service}",
            "pid": str(self.process.pid),
            "rtmp": [str(self.rtmp)],
        }

    def stat(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
        try:
            connection.request("GET", "/stat")
            return xml.etree.ElementTree.fromstring(connection.getresponse().read())
        finally:
            connection.close()

    def accepted(self):
        """RTMP connections since its start."""
        return int(self.stat().findtext("naccepted"))

    def streams(self, app="live"):
        """{name: (publishers, players)} of what it knows now."""
        found = {}
        for application in self.stat().iter("application"):
            if application.findtext("name") != app:
                continue
            for stream in application.iter("stream"):
                clients = stream.findall("client")
                publishers = sum(1 for c in clients if c.find("publishing") is not None)
                found[stream.findtext("name")] = (publishers, len(clients) - publishers)
        return found

    def published(self, app="live"):
        return {name for name, (publishers, _) in self.streams(app).items() if publishers}

    def players(self, stream, app="live"):
        return self.streams(app).get(stream, (0, 0))[1]


class WebrtcOrigin:
    """What it takes and tells is in webrtc_origin.py."""

    def __init__(self, scene, name="webrtc-origin"):
        self.http = free_port()
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "webrtc_origin.py")
        self.process = scene.start(name, ["/usr/bin/python3", program, self.http])
        wait_until(lambda: accepts(self.http), f"{name} listens", 20 * SLOWNESS)

    def as_upstream(self):
        return {"http": self.http}

    def state(self):
        return json.loads(request(self.http, "GET", "/state")[2])


def place_of(origins, stream):
    """The origin at which a stream is published, once it is."""

    def find():
        for origin in origins:
            if origin.process.running() and stream in origin.published():
                return origin
        return None

    return wait_until(find, f"{stream} is published at an origin", 10, 0.1)
