"""HAProxy in TCP mode, which stands in for the balancer in front of several nodes."""

from support.scene import accepts, free_port, wait_until

CONFIG = """
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  retries 2
  option redispatch
"""


class Balancer:
    """`nodes`: Weir; a listener for their RTMP and one for their HTTP, with health checks."""

    def __init__(self, scene, nodes, name="haproxy"):
        self.rtmp, self.http = free_port(), free_port()
        text = CONFIG
        for kind, port in (("rtmp", self.rtmp), ("http", self.http)):
            text += f"listen {kind}\n  bind 127.0.0.1:{port}\n  balance roundrobin\n"
            text += "  default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions\n"
            for node in nodes:
                text += f"  server {node.name} 127.0.0.1:{getattr(node, kind)}\n"
        path = scene.path(f"{name}.cfg")
        with open(path, "w") as file:
            file.write(text)
        self.process = scene.start(name, ["haproxy", "-db", "-f", path])
        wait_until(lambda: accepts(self.rtmp) and accepts(self.http), f"{name} listens")
