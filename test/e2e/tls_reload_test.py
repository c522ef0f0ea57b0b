"""What a reload and an upgrade mean for TLS: certificates change, listeners come, go and move, and nobody is cut."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.certificates import Certificates
from support.live import LivePipe
from support.scene import SLOWNESS, accepts, free_port, wait_until
from support.upgradable import Upgradable
from support.webrtc_offer import OFFER, SDP

HERE = os.path.dirname(os.path.abspath(__file__))
LISTENERS = ("rtmps", "https", "api_https", "system_https")


class TlsReload(scene.SceneTest):
    def setUp(self):
        self.certificates = Certificates(self.scene)
        self.sites = {name: self.certificates.site(name) for name in ("one.test", "two.test")}
        self.chain, self.key = self.scene.path("shown.pem"), self.scene.path("shown.key")
        self.install("one.test")

    def install(self, name):
        """Renewed in place, as certbot does."""
        for source, target in zip(self.sites[name], (self.chain, self.key)):
            shutil.copyfile(source, target + ".new")
            os.replace(target + ".new", target)

    def node(self, role="edge", encrypted=True, **options):
        ports = {name: free_port() for name in LISTENERS}
        tls = {f"listen.{name}": f"127.0.0.1:{port}" for name, port in ports.items()}
        tls["tls.certificates"] = f"{self.chain}:{self.key}"
        options = {"edge.gone_timeout": "1s", **options}
        node = Upgradable(self.scene, role, options={**options, **(tls if encrypted else {})})
        node.tls, node.tls_options = ports, tls
        return node

    def context(self):
        context = self.certificates.context()
        context.check_hostname = False
        return context

    def shown(self, port):
        """The name in the certificate that a new client gets."""
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            with self.context().wrap_socket(plain) as client:
                return client.getpeercert()["subjectAltName"][0][1]

    def ask(self, port, method, path, body=None, headers=None):
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=self.context())
        self.scene.at_end(client.close)
        client.request(method, path, body, headers or {})
        response = client.getresponse()
        return response.status, response.headers, response.read()

    def test_new_clients_see_the_new_certificate_and_old_ones_notice_nothing(self):
        node = self.node()
        media.publish(self.scene, media.encode_clip(self.scene), node.rtmp_url("a"))
        wait_until(lambda: node.metric("weir_publishers") == 1, "the stream is published")
        viewer = LivePipe(self.scene, node.tls["https"], "/live/a.flv", tls=self.context())
        self.assertEqual(200, viewer.status)
        kept = http.client.HTTPSConnection("127.0.0.1", node.tls["https"], timeout=10, context=self.context())
        kept.request("GET", "/none")
        kept.getresponse().read()
        self.assertEqual({"one.test"}, {self.shown(port) for port in node.tls.values()})

        self.install("two.test")
        self.assertEqual("one.test", self.shown(node.tls["https"]), "nobody has asked for it")
        node.signal(signal.SIGHUP)
        wait_until(lambda: self.shown(node.tls["https"]) == "two.test", "SIGHUP shows the new one")
        self.assertEqual({"two.test"}, {self.shown(port) for port in node.tls.values()})
        before = kept.sock
        kept.request("GET", "/none")
        self.assertEqual(404, kept.getresponse().status)
        self.assertIs(before, kept.sock, "it is the same connection")
        had = len(viewer.body)
        self.assertTrue(viewer.read(lambda: len(viewer.body) > had + 100_000), "the viewer goes on")

        self.install("one.test")
        status, _, answer = self.ask(node.tls["system_https"], "POST", "/api/v1/reload")
        self.assertEqual(200, status, answer)
        self.assertEqual({"one.test"}, {self.shown(port) for port in node.tls.values()})

    def test_a_bad_certificate_refuses_all_of_the_file(self):
        node = self.node()
        shutil.copyfile(self.sites["two.test"][1], self.key)
        node.write(limits__connections=1)
        status, answer = node.ask_reload()
        self.assertEqual(400, status)
        self.assertIn(f"tls.certificates: key in {self.key}: ", answer["error"])
        self.install("two.test")
        node.write(tls__certificates="/nowhere")
        self.assertIn("tls.certificates: /nowhere: ", node.ask_reload()[1]["error"])
        node.write(tls__certificates="")
        self.assertIn("needs tls.certificates", node.ask_reload()[1]["error"])
        self.assertEqual("one.test", self.shown(node.tls["https"]))
        held = [socket.create_connection(("127.0.0.1", node.http), 5) for _ in range(2)]
        self.assertEqual(0, node.metric("weir_connections_refused_total"), "the limit is the old one")
        for each in held:
            each.close()

    def test_tickets_stay_good(self):
        node = self.node(workers=2)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.maximum_version = version
            session = None
            for attempt in range(4):
                plain = socket.create_connection(("127.0.0.1", node.tls["https"]), 5)
                with context.wrap_socket(plain, session=session) as client:
                    client.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    self.assertTrue(client.recv(100))
                    self.assertEqual(attempt > 0, client.session_reused)
                    session = client.session
                self.install(("two.test", "one.test")[attempt % 2])
                self.assertEqual(200, node.ask_reload()[0])

    def test_listeners_come_move_and_go(self):
        node = self.node(encrypted=False)
        node.options.update(node.tls_options)
        node.write()
        status, answer = node.ask_reload()
        self.assertEqual(200, status, answer)
        self.assertEqual({"one.test"}, {self.shown(port) for port in node.tls.values()})
        kept = http.client.HTTPSConnection("127.0.0.1", node.tls["https"], timeout=10, context=self.context())
        kept.request("GET", "/none")
        kept.getresponse().read()
        moved = free_port()
        node.write(listen__https=f"127.0.0.1:{moved}")
        self.assertEqual(200, node.ask_reload()[0])
        self.assertEqual("one.test", self.shown(moved))
        wait_until(lambda: not accepts(node.tls["https"]), "the old listener is closed")
        kept.request("GET", "/none")
        self.assertEqual(404, kept.getresponse().status)
        node.write(**{f"listen__{name}": "" for name in LISTENERS}, tls__certificates="")
        self.assertEqual(200, node.ask_reload()[0])
        for port in (moved, *(node.tls[name] for name in LISTENERS)):
            wait_until(lambda port=port: not accepts(port), "it is closed")
        kept.close()

    def test_an_upgrade_hands_the_listeners_over(self):
        node = self.node()
        media.publish(self.scene, media.encode_clip(self.scene), node.rtmp_url("a"))
        wait_until(lambda: node.metric("weir_publishers") == 1, "the stream is published")
        viewer = LivePipe(self.scene, node.tls["https"], "/live/a.flv", tls=self.context())
        self.assertEqual(200, viewer.status)
        self.install("two.test")
        old = node.pid()
        self.assertNotEqual(old, node.upgrade())
        self.assertEqual({"two.test"}, {self.shown(port) for port in node.tls.values()})
        pid = json.loads(self.ask(node.tls["api_https"], "GET", "/api/v1/versions")[2])["pid"]
        self.assertEqual(node.pid(), int(pid))
        had = len(viewer.body)
        self.assertTrue(viewer.read(lambda: len(viewer.body) > had + 100_000), "the viewer goes on")

    def test_signalling_and_the_console_s_events_are_served_over_tls(self):
        port = free_port()
        self.scene.start("origin", ["/usr/bin/python3", os.path.join(HERE, "support/webrtc_origin.py"), str(port)])
        wait_until(lambda: accepts(port), "the origin listens", 20 * SLOWNESS)
        webrtc = {"listen.webrtc": f"127.0.0.1:{free_port()}", "webrtc.candidates": "127.0.0.1"}
        webrtc["upstream.o.host"], webrtc["upstream.o.http"] = "127.0.0.1", port
        node = self.node("proxy", **webrtc)
        for name in ("https", "api_https"):
            status, headers, answer = self.ask(
                node.tls[name], "POST", "/rtc/v1/whip/?app=live&stream=a", OFFER, SDP
            )
            self.assertEqual(201, status, answer)
            self.assertEqual(200, self.ask(node.tls[name], "DELETE", headers["Location"])[0])
        self.assertEqual(404, self.ask(node.tls["https"], "POST", "/live/none/whep", OFFER, SDP)[0])
        events = LivePipe(self.scene, node.tls["system_https"], "/api/v1/events", tls=self.context())
        self.assertEqual((200, "text/event-stream"), (events.status, events.headers["content-type"]))
        self.assertTrue(events.read(lambda: events.body.count(b"data: {") > 1), "pictures keep coming")


if __name__ == "__main__":
    scene.main()
