"""Hundreds of damaged requests, to weir and to nginx in the same place: weir takes nothing that nginx refuses, and
what only weir refuses is of a kind that is named here."""

import collections
import os
import random
import re
import select
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.node import Weir
from support.scene import SLOWNESS, accepts, free_port, wait_until

COUNT = 600
SECONDS = 3 * SLOWNESS  # for all of them; who has not answered by then waits for more
CONFIG = """
daemon off; master_process off; user root; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{proxy} backlog=2048;
    location / {{
      proxy_pass http://127.0.0.1:{origin};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
  server {{
    listen 127.0.0.1:{origin} backlog=2048;
    location / {{ proxy_pass http://127.0.0.1:{last}; }}  # reads a whole body before it answers
  }}
  server {{
    listen 127.0.0.1:{last} backlog=2048;
    location / {{ return 200 "ok"; }}
  }}
}}
"""

BASES = [
    b"GET /live/a.m3u8?x=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: a\r\nAccept: */*\r\n\r\n",
    b"GET http://example.com/live/a.m3u8 HTTP/1.1\r\nHost: example.com\r\nRange: bytes=0-1\r\n\r\n",
    b"POST /live/a HTTP/1.1\r\nHost: example.com:80\r\nContent-Length: 4\r\nA: b\r\n\r\nbody",
    b"POST /live/a HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    b"GET /live/a.m4s HTTP/1.0\r\nHost: example.com\r\nConnection: keep-alive\r\n\r\n",
]
LINES = [
    b"Content-Length: 4",
    b"Content-Length: 5",
    b"Content-Length: +4",
    b"Content-Length: 4, 4",
    b"Content-Length: 0x4",
    b"Content-Length:",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer_Encoding: chunked",
    b"Host: other.example",
    b"Host: a b",
    b"Host:",
    b" folded: value",
    b"\tfolded",
    b": nameless",
    b"no colon",
    b"Na me: value",
    b"Name\x00: value",
    b"Name: va\x00lue",
    b"Name: va\rlue",
    b"Name: va\x01lue",
    b"Name: va\x7flue",
    b"Name: va\xffue",
    b"N\xe4me: value",
    b"Connection: close, Host",
    b"Expect: 100-continue",
]
BYTES = [b"\0", b"\t", b"\n", b"\r", b" ", b"\x7f", b"\x80", b"%", b"#", b"?", b"/../", b"%2f", b"%00", b":", b"\\"]
BODIES = [
    b"04\r\nbody\r\n0\r\n\r\n",
    b"4;name=value\r\nbody\r\n0\r\n\r\n",
    b"4 \r\nbody\r\n0\r\n\r\n",
    b"+4\r\nbody\r\n0\r\n\r\n",
    b"-4\r\nbody\r\n0\r\n\r\n",
    b"0x4\r\nbody\r\n0\r\n\r\n",
    b"3\r\nbody\r\n0\r\n\r\n",
    b"4\r\nbody0\r\n\r\n",
    b"4\nbody\n0\n\n",
    b"4\r\nbody\r\n0\r\nName: value\r\n\r\n",
    b"4\r\nbody\r\n0\r\nno colon\r\n\r\n",
    b"\r\nbody\r\n0\r\n\r\n",
    b"10000000000000004\r\nbody\r\n0\r\n\r\n",
]
FIRST_LINES = [
    b"GET /a HTTP/1.2",
    b"GET /a HTTP/2.0",
    b"GET /a HTTP/1.1 ",
    b"GET /a  HTTP/1.1",
    b"GET  /a HTTP/1.1",
    b"GET /a http/1.1",
    b"get /a HTTP/1.1",
    b"GET /a HTTP/1.01",
    b"GET a HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT example.com:80 HTTP/1.1",
    b"TRACE /a HTTP/1.1",
    b"GE\tT /a HTTP/1.1",
    b"G@T /a HTTP/1.1",
    b"GET /a",
    b"GET /%zz HTTP/1.1",
    b"GET //a//b HTTP/1.1",
    b"GET /a/./b HTTP/1.1",
]


# What weir alone refuses, and means to: patterns of the first line, of the head, or of the body.
HEAD, FIRST, BODY = "head", "first line", "body"
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
STRICTER = {
    "a line that ends without CRLF": (HEAD, rb"(?<!\r)\n|\r(?!\n)"),
    "a control byte": (HEAD, rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
    "a name that is no token": (HEAD, rb"\r\n(?!" + TOKEN + rb":)"),
    "spaces in the first line other than two": (FIRST, rb"^(?!\S+ \S+ \S+$)"),
    "a version other than HTTP/1.0 and HTTP/1.1": (FIRST, rb" HTTP/(?!1\.[01]$)\S*$"),
    "a scheme that is not HTTP": (FIRST, rb"^\S+ (?!/|\*|https?://)"),
    "a path that climbs, or hides a slash": (FIRST, rb"/\.\.?(/|\?| )|%2[fF]|%5[cC]|\\|%00"),
    "a host that is none": (HEAD, rb"\r\n[Hh]ost:[^\r]*([^\r\w.:\- ]|\w:\d*[^\d\r])"),
    "a line of a chunked body that ends without CRLF": (BODY, rb"^[0-9a-fA-F]+\n"),
    "a chunk's size that is not only hexadecimal digits": (BODY, rb"^(?![0-9a-fA-F]+[\r;])"),
    "a trailer that is none": (BODY, rb"\r\n0\r\n[^:\r]+\r"),
}


def why_stricter(request):
    head, _, body = request.partition(b"\r\n\r\n")
    parts = {FIRST: head.partition(b"\r\n")[0], HEAD: head, BODY: body if b"chunked" in head else b"0\r"}
    for name, (where, pattern) in STRICTER.items():
        if re.search(pattern, parts[where]):
            return name
    return None


def damaged(chance):
    """One request, with one to three faults in its head or one in its body."""
    base = chance.choice(BASES)
    head, _, body = base.partition(b"\r\n\r\n")
    if b"chunked" in head and chance.random() < 0.5:
        return head + b"\r\n\r\n" + chance.choice(BODIES)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        lines = head.split(b"\r\n")
        kind = chance.randrange(6)
        if kind == 0:
            lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(LINES))
        elif kind == 1:
            lines[0] = chance.choice(FIRST_LINES)
        elif kind == 2:
            lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(lines[1:] or LINES))
        elif kind == 3 and len(lines) > 1:
            del lines[chance.randrange(1, len(lines))]
        head = b"\r\n".join(lines)
        at = chance.randrange(len(head))
        if kind == 4:
            head = head[:at] + chance.choice(BYTES) + head[at:]
        elif kind == 5:
            head = head[:at] + head[at + 1 :]
    return head + b"\r\n\r\n" + body


def verdicts(port, heads):
    """Of each the status, 0 for a connection that just ended, None for one that waits."""
    poll, sockets, heard, found = select.epoll(), {}, {}, {}
    for number, head in enumerate(heads):
        sock = socket.create_connection(("127.0.0.1", port), 10)
        sock.sendall(head)
        sockets[sock.fileno()] = (number, sock)
        heard[number] = b""
        poll.register(sock, select.EPOLLIN)
    deadline = time.monotonic() + SECONDS
    while sockets and time.monotonic() < deadline:
        for descriptor, _ in poll.poll(0.1):
            number, sock = sockets[descriptor]
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            heard[number] += data
            status = re.match(rb"HTTP/1\.[01] (\d{3})", heard[number])
            if status and status[1] != b"100":
                found[number] = int(status[1])
            elif data:
                continue
            else:
                found.setdefault(number, 200 if heard[number] == b"ok" else 0)
            poll.unregister(descriptor)
            sock.close()
            del sockets[descriptor]
    for _, sock in sockets.values():
        sock.close()
    poll.close()
    return [found.get(number) for number in range(len(heads))]


class HeadVerdicts(scene.SceneTest):
    def nginx(self):
        """(proxy's port, origin's port)"""
        folder, ports = self.scene.path("nginx"), [free_port() for _ in range(3)]
        os.mkdir(folder)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(CONFIG.format(folder=folder, proxy=ports[0], origin=ports[1], last=ports[2]))
        self.scene.start("nginx", ["nginx", "-c", path, "-p", folder, "-e", f"{folder}/error.log"])
        wait_until(lambda: all(accepts(port) for port in ports), "nginx listens", 10)
        return ports[:2]

    def test_weir_is_never_laxer_than_nginx_and_stricter_only_as_it_means_to_be(self):
        seed = int(os.environ.get("WEIR_SEED", "20240229"))
        chance = random.Random(seed)
        heads = list(dict.fromkeys(damaged(chance) for _ in range(COUNT)))
        proxy, origin = self.nginx()
        weir = Weir(self.scene, "proxy", upstreams={"origin": {"http": origin}}, options={"log.level": "warn"})
        theirs, ours = verdicts(proxy, heads), verdicts(weir.http, heads)
        laxer, unexplained, reasons = [], [], collections.Counter()
        for head, nginx, own in zip(heads, theirs, ours):
            if own == 200 and nginx != 200:
                laxer.append((head, nginx, own))
            if own != 200 and nginx == 200:
                reason = why_stricter(head)
                reasons[reason] += 1
                if reason is None:
                    unexplained.append((head, nginx, own))
        both = sum(own == nginx == 200 for own, nginx in zip(ours, theirs))
        for what, cases in (("laxer", laxer), ("stricter", unexplained)):
            for head, nginx, own in cases:
                print(f"# {what}: nginx {nginx}, weir {own}: {head}", file=sys.stderr)
        print(f"# {len(heads)} heads, {both} taken by both; stricter: {dict(reasons)}", file=sys.stderr)
        self.assertGreater(both, 50)
        self.assertGreater(ours.count(400), 100)
        self.assertEqual(([], []), (laxer, unexplained), f"seed {seed}")
        self.assertNotIn(502, ours, "a head that the origin understands otherwise was passed on")


if __name__ == "__main__":
    scene.main()
