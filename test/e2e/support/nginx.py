"""nginx as a hop or an origin, of HTTP and of TCP, that logs whom each request or connection is said to be for."""

import os

from support.scene import SLOWNESS, accepts, wait_until

CONFIG = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
stream {{
  log_format whose '$proxy_protocol_addr|$remote_addr';
  access_log {folder}/stream.log whose;
  {stream}
}}
http {{
  log_format whose '$proxy_protocol_addr|$request_uri|$connection|'
                   '$http_x_forwarded_for|$http_forwarded|$http_x_forwarded_proto';
  access_log {folder}/http.log whose;
  {http}
}}
"""


class Nginx:
    def __init__(self, scene_, name, ports, http="", stream=""):
        self.folder = scene_.path(name)
        os.mkdir(self.folder)
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(CONFIG.format(folder=self.folder, http=http, stream=stream))
        scene_.start(name, ["nginx", "-c", path, "-p", self.folder, "-e", f"{self.folder}/error.log"])
        wait_until(lambda: all(accepts(port) for port in ports), f"{name} listens", 10 * SLOWNESS)

    def lines(self, log="http"):
        """Those with a request or connection, split into their fields."""
        with open(os.path.join(self.folder, f"{log}.log")) as file:
            return [line.rstrip("\n").split("|") for line in file]

    def asked(self, path):
        """The line of that request, once it is there."""

        def find():
            return [line for line in self.lines() if line[1] == path]

        return wait_until(find, lambda: (path, self.lines()), 10 * SLOWNESS)[-1]
