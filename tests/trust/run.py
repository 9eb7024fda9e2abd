#!/usr/bin/env python3
"""Changes what a cluster of three nodes trusts while clients read and write, and counts the requests that fail.

    tests/trust/run.py --binary target/release/ringwall [--only leaf,ca,withdraw,revoke,rolling,idle]

leaf      every node gets a new certificate of the same CA
ca        the CA is replaced (certutil rotate) by one of the same name, while one node looks at its files rarely
withdraw  one node's name is taken out of the trust: it must be out within a bound, and the data stay whole
revoke    the same by a certificate revocation list
rolling   a cluster without TLS between its nodes gets it node by node
idle      10,000 idle connections, with and without TLS, and 1,000 handshakes that never end against both ports of a node,
          which goes on serving new clients itself

Clients behave as the official ones: a request without an answer, or answered 502, 503 or 504, goes to the next node, at
most three times in all. A search that some shards did not answer has failed. Every acknowledged document is read back by its
id. Standard library only. Exit status 1 when something is not as it must be.
"""

import argparse
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from cluster import Cluster  # noqa: E402

SSL = "xpack.security.transport.ssl"
FAILURES = []


def check(name, good, text):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)
    if not good:
        FAILURES.append(name)


class Load:
    """Reads and writes until told to stop."""

    def __init__(self, cluster, index, threads=4):
        self.cluster, self.index = cluster, index
        self.lock = threading.Lock()
        self.done, self.retried, self.failed, self.written = 0, 0, [], {}
        self.slowest = 0.0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, worker):
        chance, connections, number = random.Random(worker), {}, 0
        while not self.stopping.is_set():
            number += 1
            if number % 3:
                request = ("PUT", f"/{self.index}/_doc/{worker}-{number}", {"n": number, "worker": worker})
            else:
                request = ("POST", f"/{self.index}/_search", {"query": {"term": {"worker": worker}}, "size": 3})
            begun = time.time()
            problem, tries = self.send(request, connections, chance)
            with self.lock:
                self.done += 1
                self.retried += tries - 1
                self.slowest = max(self.slowest, time.time() - begun)
                if problem:
                    self.failed.append(problem)
                elif number % 3:
                    self.written[f"{worker}-{number}"] = number

    def send(self, request, connections, chance):
        """Returns why the request failed, if it did, and how often it was sent."""
        problem, nodes = None, list(self.cluster.nodes)
        chance.shuffle(nodes)
        for tries, node in enumerate(nodes, 1):
            try:
                connection = connections.get(node.name)
                if connection is None:
                    connection = connections[node.name] = node.connect(30)
                status, body = node.request(*request, connection)
            except (OSError, http.client.HTTPException) as error:
                connections.pop(node.name, None)
                problem = f"{node.name}: {error!r}"
                continue
            if status in (200, 201):
                if request[1].endswith("/_search") and (body["timed_out"] or body["_shards"]["failed"]
                                                        or body["_shards"]["successful"] != body["_shards"]["total"]):
                    return f"{node.name}: not all shards answered: {json.dumps(body['_shards'])[:300]}", tries
                return None, tries
            problem = f"{node.name}: {status} {json.dumps(body)[:300]}"
            if status not in (502, 503, 504):
                break
        return problem, tries

    def stop(self, name, must_not_fail=True):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        text = (f"{self.done} requests, {len(self.failed)} failed, {self.retried} sent again, "
                f"slowest {self.slowest * 1000:.0f} ms")
        if self.failed:
            text += f"; first: {self.failed[0]}"
        check(name, not self.failed or not must_not_fail, text)
        return self.written


def ask(cluster, path, method="GET", body=None, node=0):
    status, answer = cluster.nodes[node].request(method, path, body)
    if status != 200:
        raise SystemExit(f"{method} {path}: {status} {answer}")
    return answer


def kept(cluster, name, index, written, exact=True):
    """Reads every acknowledged document back by its id, and counts that there are no others."""
    ask(cluster, f"/{index}/_refresh", "POST")
    wrong, idents = [], list(written)
    for at in range(0, len(idents), 500):
        some = idents[at:at + 500]
        for found in ask(cluster, f"/{index}/_mget", "POST", {"ids": some})["docs"]:
            if not found.get("found") or found["_source"]["n"] != written[found["_id"]]:
                wrong.append(found["_id"])
    count = ask(cluster, f"/{index}/_count")
    whole = not count["_shards"]["failed"]
    # A write without an answer may have been done.
    fits = count["count"] == len(written) if exact else count["count"] >= len(written)
    check(name, not wrong and fits and whole,
          f"{len(written)} acknowledged, {len(written) - len(wrong)} read back, {count['count']} counted"
          + (f"; missing {wrong[:5]}" if wrong else ""))


def make_index(cluster, index):
    body = {"settings": {"number_of_shards": 3, "number_of_replicas": 1},
            "mappings": {"properties": {"worker": {"type": "integer"}}}}
    ask(cluster, f"/{index}", "PUT", body)
    cluster.wait_for("green", nodes=3)


def own(cluster):
    """Serial number of each node's transport certificate and fingerprint of who signed it, by name."""
    found = {}
    for node in ask(cluster, "/_ssl/nodes")["nodes"].values():
        context = next(context for context in node["contexts"] if context["name"] == SSL)
        row = next(row for row in context["certificates"] if row["has_private_key"])
        found[node["name"]] = (row["serial_number"], row["issuer_fingerprint_sha256"])
    return found


def until(what, holds, within=60):
    begun = time.time()
    while time.time() - begun < within:
        try:
            if holds():
                return time.time() - begun
        except (OSError, http.client.HTTPException, SystemExit):
            pass
        time.sleep(0.1)
    check(what, False, f"not so within {within} s")
    return within


def settings_of(node):
    return os.path.join(node.home, "config", "elasticsearch.yml")


def edit(node, **changes):
    """Sets lines of elasticsearch.yml (None takes one out); keys with underscores for dots after ssl_."""
    path = settings_of(node)
    lines = open(path).read().splitlines()
    for key, value in changes.items():
        key = f"{SSL}." + key
        lines = [line for line in lines if not line.startswith(f"{key}:")]
        if value is not None:
            lines.append(f"{key}: {value}")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


def restart(cluster, node):
    node.process.terminate()
    node.process.wait(60)
    node.start()
    cluster.wait_for("green", nodes=3, within=120)


def store_of(node):
    """The node's PKCS#12 file and its password, out of its settings and keystore."""
    for line in open(settings_of(node)):
        if line.strip().startswith(f"{SSL}.keystore.path:"):
            path = line.split(":", 1)[1].strip().strip('"')
            break
    else:
        raise SystemExit(f"no keystore in {settings_of(node)}")
    shown = subprocess.run(
        [os.path.join(node.home, "bin", "elasticsearch-keystore"), "show", f"{SSL}.keystore.secure_password"],
        capture_output=True, text=True)
    return os.path.join(node.home, "config", path), shown.stdout.strip()


def leaf(cluster, binary, directory):
    make_index(cluster, "leaf")
    load = Load(cluster, "leaf")
    time.sleep(1)
    before = own(cluster)
    with open(os.path.join(cluster.directory, "state.json")) as file:
        ca_password = json.load(file)["ca_password"]
    authority = os.path.join(cluster.directory, "ca", "elastic-stack-ca.p12")
    for node in cluster.nodes:
        path, password = store_of(node)
        with open(os.path.join(directory, "pass"), "w") as file:
            file.write(password + "\n")
        subprocess.run([binary, "certutil", "renew", "--ca", authority, "--ca-pass", ca_password,
                        "--pass-file", os.path.join(directory, "pass"), path], check=True, capture_output=True)
    took = until("new certificates", lambda: all(own(cluster)[name] != before[name] for name in before))
    time.sleep(2)
    written = load.stop("leaf rotation on each node")
    print(f"     all new after {took:.1f} s", flush=True)
    kept(cluster, "leaf: documents", "leaf", written)


def fingerprint(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def rare_looks(cluster, node, interval):
    with open(settings_of(node), "a") as file:
        file.write(f"resource.reload.interval.high: {interval}\n")
    restart(cluster, node)


def ca(cluster, binary, directory):
    # Nobody may run ahead of the slowest.
    rare_looks(cluster, cluster.nodes[2], "25s")
    make_index(cluster, "ca")
    new = os.path.join(directory, "new-ca.p12")
    subprocess.run([binary, "certutil", "ca", "--silent", "--out", new, "--pass", ""], check=True)
    pem = subprocess.run(["openssl", "pkcs12", "-in", new, "-passin", "pass:", "-nokeys"], check=True,
                         capture_output=True, text=True).stdout
    pem = pem[pem.index("-----BEGIN"):]
    old = {issuer for _, issuer in own(cluster).values()}
    # Nodes show clients the same certificates: clients get the new CA first.
    cluster.tls.load_verify_locations(cadata=pem)
    with open(os.path.join(directory, "elastic"), "w") as file:
        file.write(base64.b64decode(cluster.authorization.split()[1]).decode().split(":", 1)[1] + "\n")
    load = Load(cluster, "ca")
    time.sleep(1)
    begun = time.time()
    command = [binary, "certutil", "rotate", "--ca", new, "--ca-pass", "", "--all", "--yes",
               "--url", f"https://{cluster.nodes[0].address}", "--user-pass-file", os.path.join(directory, "elastic")]
    for node in cluster.nodes:
        command += ["--home", node.home]
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.time() - begun
    time.sleep(2)
    written = load.stop("CA rotation")
    check("ca: tool", done.returncode == 0, f"{took:.1f} s {done.stderr.strip()[-300:] if done.returncode else ''}")
    issuers = {issuer for _, issuer in own(cluster).values()}
    check("ca: every node", issuers == {fingerprint(pem)} and not issuers & old,
          f"shows a certificate of the new CA, {len(issuers)} issuer")
    for node in ask(cluster, "/_ssl/nodes")["nodes"].values():
        context = next(context for context in node["contexts"] if context["name"] == SSL)
        trusted = set(context["trusted_fingerprints_sha256"])
        check(f"ca: trust of {node['name']}", fingerprint(pem) in trusted and not trusted & old, f"{len(trusted)} trusted")
    kept(cluster, "ca: documents", "ca", written)


def is_put_out(name, cluster, outcast, staying, load):
    """Waits until the others go on without a node, then for the end of the load, and looks for what it wrote."""

    def is_out():
        return all(node.request("GET", "/_cluster/health?master_timeout=1s", timeout=5)[1]["number_of_nodes"] == len(staying)
                   for node in staying)

    took = until(f"{name}: the node is out", is_out)
    # 5 s until the files are looked at, 5 s grace, fault detection.
    check(f"{name}: bound", took <= 15, f"out after {took:.1f} s")
    cluster.nodes = staying
    time.sleep(5)
    written = load.stop(f"{name}: one node", must_not_fail=False)
    kept(cluster, f"{name}: documents on those that stay", name, written, exact=False)


def withdraw(cluster, binary, directory):
    names = [node.name for node in cluster.nodes]
    for node in cluster.nodes:
        with open(os.path.join(node.home, "config", "trust.yml"), "w") as file:
            file.write(f"trust.subject_name: {json.dumps(names)}\n")
        edit(node, **{"trust_restrictions.path": "trust.yml",
                      "trust_restrictions.x509_fields": "subjectAltName.dnsName"})
        restart(cluster, node)
    make_index(cluster, "withdraw")
    load = Load(cluster, "withdraw")
    time.sleep(2)
    outcast, staying = cluster.nodes[2], cluster.nodes[:2]
    for node in staying:
        path = os.path.join(node.home, "config", "trust.yml")
        with open(path + ".new", "w") as file:
            file.write(f"trust.subject_name: {json.dumps(names[:2])}\n")
        os.replace(path + ".new", path)

    is_put_out("withdraw", cluster, outcast, staying, load)
    cluster.nodes = staying + [outcast]
    for node in cluster.nodes:
        with open(os.path.join(node.home, "config", "trust.yml"), "w") as file:
            file.write(f"trust.subject_name: {json.dumps(names)}\n")
    check("withdraw: return", cluster.wait_for("green", nodes=3) < 60, "let in again, it is back")


def revocation_list(cluster, directory, serials, number):
    """A list of the cluster's CA, made by openssl. `serials` are hex."""
    with open(os.path.join(cluster.directory, "state.json")) as file:
        password = json.load(file)["ca_password"]
    store = os.path.join(cluster.directory, "ca", "elastic-stack-ca.p12")
    crt, key = os.path.join(directory, "ca.crt"), os.path.join(directory, "ca.key")
    for options, path in ((["-nokeys"], crt), (["-nocerts", "-nodes"], key)):
        subprocess.run(["openssl", "pkcs12", "-in", store, "-passin", f"pass:{password}", *options, "-out", path],
                       check=True, capture_output=True)
    with open(os.path.join(directory, "index.txt"), "w") as file:
        for serial in serials:
            even = serial.upper().zfill((len(serial) + 1) // 2 * 2)
            file.write(f"R\t351231235959Z\t240101000000Z\t{even}\tunknown\t/CN=withdrawn\n")
    with open(os.path.join(directory, "crlnumber"), "w") as file:
        file.write(f"{number:02X}\n")
    with open(os.path.join(directory, "crl.cnf"), "w") as file:
        file.write(f"[ca]\ndefault_ca = d\n[d]\ndatabase = {directory}/index.txt\ncrlnumber = {directory}/crlnumber\n"
                   "default_md = sha256\ndefault_crl_days = 30\ncrl_extensions = e\n"
                   "[e]\nauthorityKeyIdentifier = keyid\n")
    made = os.path.join(directory, f"{number}.crl")
    subprocess.run(["openssl", "ca", "-gencrl", "-config", os.path.join(directory, "crl.cnf"), "-cert", crt,
                    "-keyfile", key, "-out", made], check=True, capture_output=True)
    with open(made) as file:
        return file.read()


def revoke(cluster, binary, directory):
    def put(nodes, content):
        for node in nodes:
            path = os.path.join(node.home, "config", "ca.crl")
            with open(path + ".new", "w") as file:
                file.write(content)
            os.replace(path + ".new", path)

    put(cluster.nodes, revocation_list(cluster, directory, [], 1))
    for node in cluster.nodes:
        edit(node, certificate_revocation_lists="ca.crl")
        restart(cluster, node)
    make_index(cluster, "revoke")
    load = Load(cluster, "revoke")
    time.sleep(2)
    outcast, staying = cluster.nodes[2], cluster.nodes[:2]
    serial, _ = own(cluster)[outcast.name]
    put(staying, revocation_list(cluster, directory, [serial], 2))
    is_put_out("revoke", cluster, outcast, staying, load)
    for node in ask(cluster, "/_ssl/nodes")["nodes"].values():
        context = next(context for context in node["contexts"] if context["name"] == SSL)
        lists = [(row["number"], row["overdue"], row["superseded"]) for row in context["revocation_lists"]]
        check(f"revoke: {node['name']} tells its list", lists == [("2", False, False)], f"{lists}")
    connection = staying[0].connect()
    connection.request("GET", "/_prometheus/metrics", headers={"Authorization": cluster.authorization})
    gauge = "ringwall_tls_revocation_list_next_update_seconds{"
    check("revoke: metrics", gauge in connection.getresponse().read().decode(), gauge)
    cluster.nodes = staying + [outcast]
    put(cluster.nodes, revocation_list(cluster, directory, [], 3))
    check("revoke: return", cluster.wait_for("green", nodes=3) < 60, "off the list again, it is back")


def rolling(cluster, binary, directory):
    cluster.stop()
    for node in cluster.nodes:
        edit(node, **{"enabled": "false", "trust_restrictions.path": None, "trust_restrictions.x509_fields": None})
    cluster.start()
    cluster.wait_for("green", nodes=3)
    make_index(cluster, "rolling")
    load = Load(cluster, "rolling")
    time.sleep(1)
    for node in cluster.nodes:
        edit(node, **{"enabled": "true", "dual_stack.enabled": "true"})
        restart(cluster, node)
    report = ask(cluster, "/_health_report/transport_tls")["indicators"]["transport_tls"]
    check("rolling: health tells", report["status"] == "yellow", report["symptom"])
    ask(cluster, "/_cluster/settings", "PUT", {"persistent": {f"{SSL}.dual_stack.enabled": False}})
    for node in cluster.nodes:
        edit(node, **{"dual_stack.enabled": None})
        restart(cluster, node)
    time.sleep(1)
    written = load.stop("rolling TLS enablement")
    report = ask(cluster, "/_health_report/transport_tls")["indicators"]["transport_tls"]
    check("rolling: encrypted", report["status"] == "green", report["symptom"])
    kept(cluster, "rolling: documents", "rolling", written)


def memory(node):
    with open(f"/proc/{node.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


IDLE, SLOW = 10_000, 1_000


def closed_by_peer(sockets):
    """How many of them the other side has closed."""
    closed = 0
    for one in sockets:
        one.setblocking(False)
        try:
            # A socket with TLS may hold tickets; what counts is the end.
            while True:
                if not one.recv(4096):
                    closed += 1
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            closed += 1
    return closed


def allow_sockets(wanted):
    """Makes room for so many open files, or fails: fewer connections would prove something else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError) as error:
        raise SystemExit(f"idle needs {wanted} open files and may have {hard} (ulimit -n): {error}")


def attack(host, port, handshake):
    """Opens the idle connections; with `handshake` each has finished TLS. Returns them and how many were refused."""
    def one(_):
        try:
            made = socket.create_connection((host, port), timeout=10)
            return handshake.wrap_socket(made, server_hostname=host) if handshake else made
        except OSError:
            return None

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(one, range(IDLE)))
    sockets = [socket for socket in made if socket]
    return sockets, IDLE - len(sockets)


def idle(cluster, binary, directory):
    allow_sockets(IDLE + SLOW + 2_000)
    node = cluster.nodes[0]
    # Whoever has no certificate gets no further at the port of the nodes.
    for name, address, handshake in (("http, TCP", node.address, None), ("http, TLS", node.address, cluster.tls),
                                     ("transport, TCP", node.transport, None)):
        host, port = address.split("://")[-1].rsplit(":", 1)
        before = memory(node)
        sockets, refused = attack(host, int(port), handshake)
        slow = []
        for _ in range(SLOW):
            try:
                one = socket.create_connection((host, int(port)), timeout=10)
                # The beginning of a ClientHello that never ends.
                one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                slow.append(one)
            except OSError:
                refused += 1
        check(f"idle {name}: attack", len(sockets) == IDLE,
              f"{len(sockets)} of {IDLE} idle connections made, {len(slow)} slow ones, {refused} refused")
        begun, worst, served, unserved, peak = time.time(), 0.0, 0, 0, memory(node)
        while time.time() - begun < 10:
            sent = time.time()
            # A new client of the node under attack, while the connections stand.
            try:
                status, health = node.request("GET", "/_cluster/health", timeout=5)
                served += status == 200
                if health["number_of_nodes"] != 3:
                    check(f"idle {name}: nodes", False, f"{health['number_of_nodes']} nodes")
                    break
            except (OSError, http.client.HTTPException):
                unserved += 1
            worst = max(worst, time.time() - sent)
            peak = max(peak, memory(node))
        gone = closed_by_peer(sockets), closed_by_peer(slow)
        for one in sockets + slow:
            one.close()
        check(f"idle {name}: service", served and not unserved and worst < 2,
              f"{served} new clients of the node itself served, {unserved} not, slowest {worst * 1000:.0f} ms")
        check(f"idle {name}: memory", peak - before < 400_000, f"{before // 1024} MiB -> {peak // 1024} MiB")
        print(f"     the node has closed {gone[0]} of the idle and {gone[1]} of the slow connections", flush=True)
        until(f"idle {name}: green after", lambda: ask(cluster, "/_cluster/health")["status"] == "green")


SCENARIOS = {"leaf": leaf, "ca": ca, "withdraw": withdraw, "revoke": revoke, "rolling": rolling, "idle": idle}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default="target/release/ringwall")
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--http-port", type=int, default=0)
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    for name in arguments.only.split(","):
        directory = tempfile.mkdtemp(prefix="ringwall-trust-")
        cluster = Cluster(binary, os.path.join(directory, "cluster"), arguments.http_port)
        # Ports stay over restarts.
        cluster.start()
        try:
            cluster.wait_for("green", nodes=3)
            SCENARIOS[name](cluster, binary, directory)
        finally:
            cluster.stop()
        if not FAILURES:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"left: {directory}", flush=True)
    sys.exit(1 if FAILURES else 0)


if __name__ == "__main__":
    main()
