"""redis-server, also as a sentinel, of a test's own: loopback only, in the test's directory, without a disk."""

import socket

from support.scene import free_port, wait_until


class Redis:
    """One server. `replica_of`: another Redis; `options`: further directives, {"requirepass": "..."};
    `certificates`: then it speaks nothing but TLS, and asks for one of theirs."""

    def __init__(self, scene, name="redis", replica_of=None, options=None, certificates=None):
        self.scene, self.name, self.port = scene, name, free_port()
        self.certificates = certificates
        self.options = {"port": self.port, **(options or {})}
        if certificates:
            self.options.update(
                {
                    "port": 0,
                    "tls-port": self.port,
                    "tls-ca-cert-file": certificates.ca,
                    "tls-cert-file": certificates.server[0],
                    "tls-key-file": certificates.server[1],
                }
            )
        if replica_of:
            self.options["replicaof"] = f"127.0.0.1 {replica_of.port}"
        self.start()

    def start(self):
        words = [word for key, value in self.options.items() for word in (f"--{key}", *str(value).split())]
        self.process = self.scene.start(
            self.name,
            [
                "redis-server",
                *("--bind", "127.0.0.1", "--dir", self.scene.directory),
                *("--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"),
                *words,
            ],
        )
        wait_until(lambda: self.answers("PING"), f"{self.name} answers")
        return self

    def answers(self, *words):
        try:
            return self.ask(*words)
        except OSError:
            return None

    def ask(self, *words):
        """One command, and its answer: text, number, None, or a list of these. OSError when it is an error."""
        with self._connect() as connection:
            text = "".join(f"${len(str(word).encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{text}".encode())
            with connection.makefile("rb") as answers:
                return _read(answers)

    def _connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), 2)
        if not self.certificates:
            return plain
        return self.certificates.client_context().wrap_socket(plain, server_hostname="127.0.0.1")

    def options_for_weir(self):
        options = {"redis.host": "127.0.0.1", "redis.port": self.port}
        if self.certificates:
            certificate, key = self.certificates.client
            options["redis.tls"] = "on"
            options["redis.tls_ca"] = self.certificates.ca
            options["redis.tls_cert"], options["redis.tls_key"] = certificate, key
        return options

    def kill(self):
        self.process.kill()


class Sentinel:
    """Watches `master` under the name "weir" and needs `quorum` of its kind to fail over."""

    def __init__(self, scene, master, name="sentinel", quorum=2):
        self.port = free_port()
        path = scene.path(f"{name}.conf")
        with open(path, "w") as file:
            file.write(
                f"port {self.port}\nbind 127.0.0.1\ndir {scene.directory}\n"
                f"sentinel monitor weir 127.0.0.1 {master.port} {quorum}\n"
                "sentinel down-after-milliseconds weir 1000\n"
                "sentinel failover-timeout weir 5000\n"
            )
        self.process = scene.start(name, ["redis-server", path, "--sentinel"])
        wait_until(self.master, f"{name} knows the master")

    certificates = None
    ask, _connect = Redis.ask, Redis._connect

    def master(self):
        """The master's port, as it says; None when it does not answer."""
        try:
            return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "weir")[1])
        except (OSError, TypeError):
            return None

    def knows(self):
        """(replicas, other sentinels) that it has found."""
        fields = self.ask("SENTINEL", "MASTER", "weir")
        state = dict(zip(fields[::2], fields[1::2]))
        return int(state["num-slaves"]), int(state["num-other-sentinels"])


def _read(stream):
    line = stream.readline()
    if not line:
        raise ConnectionError("closed")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"-":
        raise OSError(rest)
    if kind == b":":
        return int(rest)
    if kind == b"$":
        if rest == "-1":
            return None
        text = stream.read(int(rest) + 2)[:-2]
        return text.decode(errors="replace")
    if kind == b"*":
        return [_read(stream) for _ in range(int(rest))]
    return rest

