"""Three homes made by `ringwall quickstart`, run as separate processes that can be killed."""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import time


class Node:
    def __init__(self, cluster, entry):
        self.cluster = cluster
        self.name = entry["name"]
        self.home = entry["home"]
        self.address = entry["http"].split("://")[-1].rstrip("/")
        self.transport = entry["transport"]
        self.process = None
        # What runs the node somewhere else, as in a network namespace.
        self.within = []

    def start(self):
        log = open(os.path.join(self.home, "logs", "chaos.log"), "ab")
        self.process = subprocess.Popen(
            [*self.within, os.path.join(self.home, "bin", "elasticsearch")],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def signal(self, number):
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def connect(self, timeout=30):
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPSConnection(
            host, int(port), timeout=timeout, context=self.cluster.tls)

    def certificate(self):
        """What the node shows on a new connection, DER."""
        connection = self.connect(5)
        connection.connect()
        try:
            return connection.sock.getpeercert(binary_form=True)
        finally:
            connection.close()

    def request(self, method, path, body=None, connection=None, timeout=30):
        """Returns status and decoded body; raises OSError or HTTPException when there is no answer."""
        own = connection is None
        connection = connection or self.connect(timeout)
        headers = {"Authorization": self.cluster.authorization}
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if isinstance(body, str) else "application/json"
            body = body if isinstance(body, str) else json.dumps(body)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None
        finally:
            if own:
                connection.close()


class Cluster:
    def __init__(self, binary, directory, http_port):
        self.directory = directory
        made = self.make(binary, http_port)
        self.tls = ssl.create_default_context(cadata=made["ca_text"])
        if made["ca_text"] is None:
            # Made here a moment ago, in a network of its own.
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE
        token = f"{made['username']}:{made['password']}".encode()
        self.authorization = "Basic " + base64.b64encode(token).decode()
        self.nodes = [Node(self, entry) for entry in made["nodes"]]

    def make(self, binary, http_port):
        """Lets quickstart lay out the homes, then takes its nodes over. Returns its description."""
        made = os.path.join(self.directory, "quickstart.json")
        if os.path.exists(made):
            os.remove(made)
        log = open(self.directory + ".quickstart.log", "ab")
        process = subprocess.Popen(
            [binary, "quickstart", "--dir", self.directory, "--http-port", str(http_port)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.time() + 120
        while not os.path.exists(made):
            if process.poll() is not None or time.time() > deadline:
                raise SystemExit(f"quickstart failed, see {log.name}")
            time.sleep(0.1)
        with open(made) as file:
            made = json.load(file)
        with open(made["ca"]) as file:
            made["ca_text"] = file.read()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        return made

    def start(self):
        for node in self.nodes:
            node.start()

    def stop(self):
        for node in self.nodes:
            if node.running():
                node.process.send_signal(signal.SIGCONT)
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process:
                node.process.wait(60)

    def wait_for(self, status, within=120, nodes=None, via=None):
        """Waits for a health status as seen by a running node; returns the seconds it took."""
        begun = time.time()
        last = None
        while time.time() - begun < within:
            for node in [via] if via else self.nodes:
                if not node.running():
                    continue
                try:
                    _, health = node.request("GET", "/_cluster/health?master_timeout=1s", timeout=5)
                except (OSError, http.client.HTTPException) as error:
                    last = repr(error)
                    continue
                last = health
                if health.get("status") == status and nodes in (None, health.get("number_of_nodes")):
                    return time.time() - begun
            time.sleep(0.05)
        raise SystemExit(f"not {status} within {within} s: {last}")


class SeparateHosts(Cluster):
    """As a cluster of machines: a network namespace each, joined by a bridge. Linux, as root."""

    COUNT = 3
    BRIDGE = "rwchaos"

    def make(self, binary, http_port):
        self.binary = binary
        # Each has its own addresses.
        http_port = http_port or 9200
        self.tear_down()
        self.lay_cables()
        password = "chaos-password"
        os.makedirs(self.directory)
        ca = os.path.join(self.directory, "ca.p12")

        def tool(*arguments, text=None):
            subprocess.run([binary, *arguments], check=True, input=text, text=True,
                           stdout=subprocess.DEVNULL)

        tool("certutil", "ca", "--silent", "--out", ca, "--pass", "")
        names = [f"node-{n}" for n in range(self.COUNT)]
        entries = []
        for number, name in enumerate(names):
            home = os.path.join(self.directory, name)
            tool("init", home)
            certificate = os.path.join(home, "config", "node.p12")
            self.certify(number, certificate)
            keystore = os.path.join(home, "bin", "elasticsearch-keystore")
            subprocess.run([keystore, "create"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([keystore, "add", "--stdin", "bootstrap.password"], check=True,
                           input=password, text=True, stdout=subprocess.DEVNULL)
            with open(os.path.join(home, "config", "elasticsearch.yml"), "w") as file:
                file.write(self.settings(name, number, names, http_port))
            entries.append({"name": name, "home": home, "transport": f"{self.ip(number)}:9300",
                            "http": f"https://{self.ip(number)}:{http_port}"})
        return {"nodes": entries, "ca_text": None, "username": "elastic", "password": password}

    def certify(self, number, path):
        subprocess.run(
            [self.binary, "certutil", "cert", "--silent", "--ca", os.path.join(self.directory, "ca.p12"),
             "--ca-pass", "", "--out", path, "--pass", "", "--ip", self.ip(number), "--name", f"node-{number}"],
            check=True, stdout=subprocess.DEVNULL)

    def replace_certificate(self, node):
        """Puts a new certificate of the same authority in the place of the node's."""
        path = os.path.join(node.home, "config", "node.p12")
        self.certify(self.nodes.index(node), path + ".new")
        os.replace(path + ".new", path)

    def settings(self, name, number, names, http_port):
        lines = [
            "cluster.name: chaos", f"node.name: {name}", f"network.host: {self.ip(number)}",
            f"http.port: {http_port}", "transport.port: 9300",
            f"discovery.seed_hosts: {json.dumps([self.ip(n) for n in range(self.COUNT)])}",
            f"cluster.initial_master_nodes: {json.dumps(names)}",
        ]
        for layer in ("transport", "http"):
            prefix = f"xpack.security.{layer}.ssl"
            lines += [f"{prefix}.enabled: true", f"{prefix}.keystore.path: node.p12",
                      f"{prefix}.truststore.path: node.p12"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def ip(number):
        return f"10.77.0.{number + 1}"

    def lay_cables(self):
        run = self.command
        run("ip", "link", "add", self.BRIDGE, "type", "bridge")
        run("ip", "addr", "add", "10.77.0.254/24", "dev", self.BRIDGE)
        run("ip", "link", "set", self.BRIDGE, "up")
        for number in range(self.COUNT):
            space, cable = f"{self.BRIDGE}{number}", f"{self.BRIDGE}v{number}"
            run("ip", "netns", "add", space)
            run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "link", "set", cable, "master", self.BRIDGE, "up")
            run("ip", "-n", space, "addr", "add", f"{self.ip(number)}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")

    def tear_down(self):
        for number in range(self.COUNT):
            self.command("ip", "netns", "del", f"{self.BRIDGE}{number}", check=False)
        self.command("ip", "link", "del", self.BRIDGE, check=False)

    @staticmethod
    def command(*words, check=True):
        subprocess.run(words, check=check, stderr=None if check else subprocess.DEVNULL)

    def start(self):
        for number, node in enumerate(self.nodes):
            node.within = ["ip", "netns", "exec", f"{self.BRIDGE}{number}"]
        super().start()

    def cut(self, node, dropped):
        """From now on, or no longer, every packet to and from the node is lost."""
        number = self.nodes.index(node)
        self.command("ip", "link", "set", f"{self.BRIDGE}v{number}", "down" if dropped else "up")

    def stop(self):
        super().stop()
        self.tear_down()
