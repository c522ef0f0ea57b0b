"""Whose address it is: what HTTP proxies say of their clients, and what origins hear of ours, with real nginx before
and behind.

All are on this machine, so addresses of 127.0.0.0/8 tell them apart.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import amf0, media, rtmp, scene
from support.certificates import Certificates
from support.crowd import Crowd, RtmpViewer
from support.nginx import Nginx
from support.node import Weir, request
from support.origin import Origin
from support.scene import SLOWNESS, free_port, wait_until
from support.upgradable import Upgradable

HOP = "127.0.0.9"  # from where nginx asks weir


def front(scene_, weir_port, more=""):
    """nginx as the hop before weir: (Nginx, its port)"""
    port = free_port()
    server = f"""
      server {{
        listen 127.0.0.1:{port};
        location / {{
          proxy_pass http://127.0.0.1:{weir_port};
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header Forwarded "";
          proxy_bind {HOP};
          proxy_buffering off;
          {more}
        }}
      }}"""
    return Nginx(scene_, "front", [port], http=server), port


def back(scene_, name="back", words=""):
    """nginx as an origin that answers every path: (Nginx, its port)"""
    port = free_port()
    server = f"""
      server {{
        listen 127.0.0.1:{port} {words};
        location / {{ add_header Cache-Control no-store; return 200 "hello"; }}
        location /kept/ {{ add_header Cache-Control max-age=60; return 200 "hello"; }}
      }}"""
    return Nginx(scene_, name, [port], http=server), port


class Client:
    """An HTTP connection from one of our addresses, that stays."""

    def __init__(self, scene_, port, address="127.0.0.1", host="127.0.0.1"):
        source = (address, 0) if host == "127.0.0.1" else None
        self.socket = socket.create_connection((host, port), 10 * SLOWNESS, source)
        scene_.at_end(self.socket.close)

    def send(self, path, **headers):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: a.org\r\n{lines}\r\n".encode())

    def status(self):
        return int(self.head().split(b" ", 2)[1])

    def head(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(1)
            assert piece, data
            data += piece
        return data

    def get(self, path, **headers):
        """The status; the body is read."""
        self.send(path, **headers)
        head = self.head()
        length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
        while length > 0:
            length -= len(self.socket.recv(length))
        return int(head.split(b" ", 2)[1])


class RtmpListener:
    """Takes one RTMP client and keeps the object that it connects with."""

    def __init__(self, scene_):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connected = []
        threading.Thread(target=self._serve, daemon=True).start()
        scene_.at_end(self.listener.close)

    def _serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            with client:
                hello = client.recv(1537, socket.MSG_WAITALL)
                if len(hello) < 1537:
                    continue  # a health probe
                client.sendall(rtmp.handshake_opening() + hello[1:])
                client.recv(1536, socket.MSG_WAITALL)
                reader = rtmp.ChunkReader()
                while data := client.recv(4096):
                    for message in reader.feed(data):
                        if message.type == rtmp.SET_CHUNK_SIZE:
                            reader.size = int.from_bytes(message.payload[:4], "big")
                        if message.type == rtmp.COMMAND:
                            self.connected.append(amf0.decode(message.payload)[2])
                    if self.connected:
                        break


class Forwarded(scene.SceneTest):
    def lines(self, path, **wanted):
        with open(path) as file:
            found = [json.loads(line) for line in file]
        return [line for line in found if all(line.get(key) == value for key, value in wanted.items())]

    def test_a_trusted_hop_names_the_client_for_limits_lists_logs_and_origins(self):
        origin, origin_port = back(self.scene)
        log = self.scene.path("access.log")
        proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": {"http": origin_port}},
            options={"forwarded.from": HOP, "access_log.path": log},
        )
        _, port = front(self.scene, proxy.http, 'proxy_set_header X-Forwarded-Proto "https";')
        client = Client(self.scene, port, "127.0.0.5")
        self.assertEqual(200, client.get("/live/a.ts", X_Forwarded_For="6.6.6.6"))
        line = origin.asked("/live/a.ts")
        self.assertEqual([f"6.6.6.6, 127.0.0.5, {HOP}", "-", "https"], line[3:])

        def request_line():
            return self.lines(log, action="request", target="/live/a.ts")

        found = wait_until(request_line, "the access log has it", 10 * SLOWNESS)
        self.assertIn("127.0.0.5", json.dumps(found[0]))
        self.assertNotIn("127.0.0.9", json.dumps(found[0]))

        # Who is no hop says nothing, and what a hop says is not taken apart by its client's quotes.
        self.assertEqual(
            200,
            Client(self.scene, proxy.http, "127.0.0.6").get("/b", X_Forwarded_For="6.6.6.6", Forwarded="for=6.6.6.6"),
        )
        self.assertEqual(["127.0.0.6", "-", "http"], origin.asked("/b")[3:])
        hop = Client(self.scene, proxy.http, HOP)
        self.assertEqual(200, hop.get("/c", Forwarded='for="[2001:db8::1]:80";proto=https', X_Forwarded_For="6.6.6.6"))
        self.assertEqual(
            f'for="[2001:db8::1]:80";proto=https, for={HOP};proto=http', origin.asked("/c")[4].replace("\\x22", '"')
        )
        wait_until(lambda: self.lines(log, target="/c"), "the access log has it", 10 * SLOWNESS)
        self.assertIn("2001:db8::1", json.dumps(self.lines(log, target="/c")))
        self.assertEqual(400, hop.get("/d", Forwarded='for="x, for=1.2.3.4'))

    def test_limits_per_address_are_for_clients_behind_a_hop_and_not_for_it(self):
        origin = Origin(self.scene)
        media.publish(self.scene, media.encode_clip(self.scene), origin.url("a"))
        wait_until(lambda: "a" in origin.published(), "the stream is there", 10 * SLOWNESS)
        edge = Weir(
            self.scene,
            "edge",
            upstreams={"origin": origin.as_upstream()},
            options={"forwarded.from": HOP, "limits.per_address": "2"},
        )
        _, port = front(self.scene, edge.http)
        viewers = []

        def view(address):
            viewers.append(Client(self.scene, port, address))
            viewers[-1].send("/live/a.flv")
            return viewers[-1].status()

        self.assertEqual([200, 200, 429], [view("127.0.0.5") for _ in range(3)])
        self.assertEqual([200, 200, 429], [view("127.0.0.6") for _ in range(3)])

        def addresses():
            clients = json.loads(request(edge.system, "GET", "/api/v1/clients")[2])["clients"]
            return sorted(each["ip"] for each in clients if each["protocol"] == "flv")

        wanted = ["127.0.0.5", "127.0.0.5", "127.0.0.6", "127.0.0.6"]
        wait_until(lambda: addresses() == wanted, addresses, 10 * SLOWNESS)
        viewers[0].socket.close()
        wait_until(lambda: view("127.0.0.5") == 200, "its place is free again", 10 * SLOWNESS, 0.2)

    def test_what_this_machine_alone_may_do_a_client_behind_a_hop_here_may_not(self):
        node = Upgradable(self.scene, "proxy", upstreams={"o": {"rtmp": free_port()}})

        def reload(**headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return request(node.system, "POST", "/api/v1/reload", headers=named)[0]

        origin, origin_port = back(self.scene)
        node.write(upstream__o__http=str(origin_port))
        self.assertEqual(200, reload(X_Forwarded_For="203.0.113.7"))
        client = Client(self.scene, node.http)
        self.assertEqual(200, client.get("/before", X_Forwarded_For="203.0.113.7"))
        self.assertEqual("127.0.0.1", origin.asked("/before")[3])

        # Believed from the next request on, over connections that are there.
        node.write(forwarded__from="loopback")
        self.assertEqual(200, reload())
        self.assertEqual(200, client.get("/after", X_Forwarded_For="203.0.113.7"))
        self.assertEqual("203.0.113.7, 127.0.0.1", origin.asked("/after")[3])
        self.assertEqual(403, reload(X_Forwarded_For="203.0.113.7"))
        self.assertEqual(403, reload(Forwarded="for=_hidden"))
        self.assertEqual(400, reload(Forwarded="for="))
        self.assertEqual(200, reload(X_Forwarded_For="127.0.0.1"))
        self.assertEqual(200, reload())

    def test_origins_hear_by_proxy_protocol_whose_connection_it_is(self):
        media_origin = Origin(self.scene)
        rtmp_port = free_port()
        web, web_port = back(self.scene, "web", "proxy_protocol")
        tunnel = Nginx(
            self.scene,
            "tunnel",
            [rtmp_port],
            stream=f"""
              server {{ listen 127.0.0.1:{rtmp_port} proxy_protocol; proxy_pass 127.0.0.1:{media_origin.rtmp}; }}""",
        )
        upstream = {"rtmp": rtmp_port, "http": web_port, "proxy_protocol": "v2"}
        proxy = Weir(self.scene, "proxy", upstreams={"o": upstream}, host="::1", options={"health.interval": "200ms"})
        clip = media.encode_clip(self.scene)
        publisher = media.publish(self.scene, clip, proxy.rtmp_url("a"))
        wait_until(lambda: "a" in media_origin.published(), "nginx-rtmp has it", 10 * SLOWNESS)
        viewer = RtmpViewer("::1", proxy.rtmp, "live", "a")
        Crowd(self.scene).add(viewer)
        wait_until(viewer.playing, viewer.describe, 10 * SLOWNESS)

        # A client's requests have a connection each; their addresses are never another one's.
        client = Client(self.scene, proxy.http, host="::1")
        for path in ("/one", "/two"):
            self.assertEqual(200, client.get(path))
        one, two = web.asked("/one"), web.asked("/two")
        self.assertEqual(("::1", "::1"), (one[0], two[0]))
        self.assertNotEqual(one[2], two[2])

        # What an edge fetches for all is its own, and over one connection.
        edge = Weir(self.scene, "edge", upstreams={"o": upstream}, host="::1")
        client = Client(self.scene, edge.http, host="::1")
        for path in ("/kept/one", "/kept/two", "/alone"):
            self.assertEqual(200, client.get(path, **({"Cache_Control": "no-store"} if path == "/alone" else {})))
        one, two, alone = (web.asked(path) for path in ("/kept/one", "/kept/two", "/alone"))
        self.assertEqual(["", "-"], [one[0].strip("-"), one[3]])
        self.assertEqual(one[2], two[2])
        self.assertEqual(["::1", "::1"], [alone[0], alone[3]])
        self.assertNotEqual(one[2], alone[2])
        flv = Client(self.scene, edge.http, host="::1")
        flv.send("/live/a.flv")
        self.assertEqual(200, flv.status())

        publisher.stop()

        def told():
            return {line[0] for line in tunnel.lines("stream")}

        # Probes and pulls are the nodes' own: nginx has no address for them.
        wait_until(lambda: "::1" in told() and told() <= {"::1", "-", ""}, told, 10 * SLOWNESS)
        self.assertEqual(0, proxy.metric("weir_upstream_failures_total"))

    def test_the_header_goes_before_tls_and_origins_hear_of_tls_towards_the_client(self):
        certificates = Certificates(self.scene)
        words = "ssl proxy_protocol; ssl_certificate {}; ssl_certificate_key {}".format(*certificates.server)
        web, web_port = back(self.scene, "web", words)
        https = free_port()
        proxy = Weir(
            self.scene,
            "proxy",
            upstreams={
                "o": {"http": f"https://127.0.0.1:{web_port}", "tls_ca": certificates.ca, "proxy_protocol": "v2"}
            },
            host="::1",
            options={
                "listen.https": f"127.0.0.1:{https}",
                "tls.certificates": ":".join(certificates.server),
                "forwarded.from": HOP,
            },
        )
        self.assertEqual(200, Client(self.scene, proxy.http, host="::1").get("/plain"))
        self.assertEqual(["::1", "http"], [web.asked("/plain")[at] for at in (0, 5)])
        curl = (
            "curl",
            "-sS",
            "--max-time",
            "20",
            "--cacert",
            certificates.ca,
            "-o",
            "/dev/null",
            "-w",
            "%{http_version}",
        )
        for version, address, named in (
            ("1.1", "127.0.0.5", "127.0.0.5"),
            ("2", "127.0.0.5", "127.0.0.5"),
            ("2", HOP, "192.0.2.7"),
        ):
            with self.subTest(version=version, address=address):
                path = f"/{version}{address}"
                words = (f"--http{version}", "--interface", address, "-H", "X-Forwarded-For: 192.0.2.7")
                done = subprocess.run(
                    [*curl, *words, f"https://127.0.0.1:{https}{path}"], capture_output=True, timeout=30
                )
                self.assertEqual((b"", version.encode()), (done.stderr, done.stdout))
                line = web.asked(path)
                chain = f"192.0.2.7, {HOP}" if address == HOP else address
                self.assertEqual([named, chain, "https"], [line[0], line[3], line[5]])

    def test_a_weir_behind_a_weir_hears_whose_connection_it_is(self):
        origin = Origin(self.scene)
        second = Weir(
            self.scene,
            "proxy",
            name="second",
            upstreams={"origin": origin.as_upstream()},
            options={"proxy_protocol.from": "127.0.0.1"},
        )
        upstream = {**second.as_upstream(), "proxy_protocol": "v2"}
        first = Weir(self.scene, "proxy", name="first", upstreams={"second": upstream}, host="::1")
        edge = Weir(self.scene, "edge", upstreams={"second": upstream})
        media.publish(self.scene, media.encode_clip(self.scene), first.rtmp_url("a"))
        wait_until(lambda: "a" in origin.published(), "the stream is there", 10 * SLOWNESS)
        flv = Client(self.scene, edge.http)
        flv.send("/live/a.flv")
        self.assertEqual(200, flv.status())

        def sessions():
            clients = json.loads(request(second.system, "GET", "/api/v1/clients")[2])["clients"]
            return sorted((each["publish"], each["ip"]) for each in clients if each["protocol"] == "rtmp")

        wait_until(lambda: sessions() == [(False, "127.0.0.1"), (True, "::1")], sessions, 10 * SLOWNESS)

    def test_an_rtmp_origin_is_told_in_the_connect_object_whatever_the_client_says(self):
        origin = RtmpListener(self.scene)
        for option, wanted in (("on", "::1"), ("off", None)):
            proxy = Weir(
                self.scene,
                "proxy",
                name=option,
                upstreams={"o": {"rtmp": origin.port}},
                host="::1",
                options={"rtmp.client_address": option, "health.check": "off"},
            )
            origin.connected.clear()
            Crowd(self.scene).add(RtmpViewer("::1", proxy.rtmp, "live", "a", connect={"clientAddr": "6.6.6.6"}))
            wait_until(lambda: origin.connected, "the origin is asked", 10 * SLOWNESS)
            self.assertEqual(wanted, origin.connected[0].get("clientAddr"))
            self.assertEqual("live", origin.connected[0]["app"])


if __name__ == "__main__":
    scene.main()
