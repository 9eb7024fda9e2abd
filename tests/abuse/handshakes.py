#!/usr/bin/env python3
"""Shows a cluster certificates that are made to cost much, and measures what a handshake takes of the
node's processor and what a second client notices meanwhile.

Usage: tests/abuse/handshakes.py --binary PATH [--http-port PORT] [--handshakes N] [--seconds S]

The chain has ten intermediate authorities of one name, that of the cluster's own authority, each signed
by another of them: a verifier that tries every path looks at thousands of signatures. Prints the
processor time of the node for each handshake, with no certificate, with one that nobody knows, and with
the chain; then, while sixteen such peers go on against three nodes, how often the master changed and
what a client of the REST API waited. Ends with status 1 when the master changed, a request of that client
failed, or a handshake with the chain cost more than twenty times one without a certificate.
"""

import argparse
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
from cluster import Cluster  # noqa: E402

INTERMEDIATES = 10
PEERS = 16


def openssl(*arguments, text=None):
    done = subprocess.run(["openssl", *arguments], input=text, text=True, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"openssl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def make_chain(directory, subject):
    """Writes chain.pem and alone.pem, each with its key; returns their paths and the chain's size."""
    path = lambda name: os.path.join(directory, name)
    extensions = path("ca.cnf")
    with open(extensions, "w") as file:
        file.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
                   "subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n")
    # An authority by each key, only to sign with: its name is that of all.
    for i in range(INTERMEDIATES):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-keyout", path(f"ca{i}.key"), "-out", path(f"self{i}.crt"), "-subj", subject)

    def sign(name, key, by, subject, extensions=None):
        request = openssl("req", "-new", "-key", path(key), "-subj", subject)
        more = ["-extfile", extensions] if extensions else []
        openssl("x509", "-req", "-CA", path(f"self{by}.crt"), "-CAkey", path(f"ca{by}.key"), "-days", "30",
                "-set_serial", str(100 + by), "-out", path(name), *more, text=request)

    for i in range(INTERMEDIATES):
        sign(f"ca{i}.crt", f"ca{i}.key", (i + 1) % INTERMEDIATES, subject, extensions)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("leaf.key"))
    sign("leaf.crt", "leaf.key", 0, "/CN=leaf")
    parts = ["leaf.crt"] + [f"ca{i}.crt" for i in range(INTERMEDIATES)]
    chain = "".join(open(path(part)).read() for part in parts)
    with open(path("chain.pem"), "w") as file:
        file.write(chain)
    shutil.copy(path("self0.crt"), path("alone.pem"))
    size = sum(len(ssl.PEM_cert_to_DER_cert(open(path(part)).read())) for part in parts)
    return {"alone": (path("alone.pem"), path("ca0.key")), "chain": (path("chain.pem"), path("leaf.key"))}, size


def context(certificate=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if certificate:
        made.load_cert_chain(*certificate)
    return made


def shake_hands(address, tls, timeout=20):
    """Goes through a handshake, to the node's word on the certificate."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout) as plain:
            with tls.wrap_socket(plain) as link:
                link.recv(1)
    except OSError:
        pass


def processor_time(node):
    """Seconds of the processor that the node has used."""
    with open(f"/proc/{node.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(node, certificate, handshakes):
    """Milliseconds of the node's processor for one handshake."""
    tls = context(certificate)
    shake_hands(node.transport, tls)
    before = processor_time(node)
    for _ in range(handshakes):
        shake_hands(node.transport, tls)
    return (processor_time(node) - before) * 1000 / handshakes


def master(cluster):
    _, state = cluster.nodes[0].request("GET", "/_cluster/state/master_node")
    return state["master_node"]


def second_client(cluster, until):
    """Milliseconds of each request, and how many failed."""
    times, failed, i = [], 0, 0
    while time.time() < until:
        node = cluster.nodes[i % len(cluster.nodes)]
        i += 1
        begun = time.time()
        try:
            status, _ = node.request("PUT", f"/quiet/_doc/{i % 100}", {"n": i}, timeout=30)
            failed += status not in (200, 201)
        except (OSError, http.client.HTTPException):
            failed += 1
        times.append((time.time() - begun) * 1000)
    return sorted(times), failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--handshakes", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="ringwall-handshakes-")
    cluster = Cluster(os.path.abspath(options.binary), os.path.join(directory, "homes"), options.http_port)
    cluster.start()
    try:
        cluster.wait_for("green", nodes=len(cluster.nodes))
        bad = attack(cluster, directory, options)
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)
    if bad:
        print("FAILED: " + "; ".join(bad))
        sys.exit(1)


def attack(cluster, directory, options):
    authority = os.path.join(cluster.directory, "ca", "ca.crt")
    name = openssl("x509", "-in", authority, "-noout", "-subject", "-nameopt", "multiline")
    common = next(line.split("=", 1)[1].strip() for line in name.splitlines() if "commonName" in line)
    made, size = make_chain(directory, f"/CN={common}")
    bad = []
    costs = {name: cost(cluster.nodes[0], made.get(name), options.handshakes) for name in ("none", "alone", "chain")}
    print(f"a chain of {INTERMEDIATES} intermediates, {size} bytes")
    for name, milliseconds in costs.items():
        print(f"{name:6} {milliseconds:7.2f} ms of the processor for a handshake")
    if costs["chain"] > 20 * max(costs["none"], 0.5):
        bad.append("the chain costs too much")
    status, answer = cluster.nodes[0].request("PUT", "/quiet", {"settings": {"number_of_replicas": 1}})
    assert status == 200, answer
    alone, _ = second_client(cluster, time.time() + 5)
    before, stop = master(cluster), threading.Event()
    shaken = [0]

    def peer(number):
        tls = context(made["chain"])
        while not stop.is_set():
            shake_hands(cluster.nodes[number % len(cluster.nodes)].transport, tls, 5)
            shaken[0] += 1

    peers = [threading.Thread(target=peer, args=(number,), daemon=True) for number in range(PEERS)]
    for each in peers:
        each.start()
    times, failed = second_client(cluster, time.time() + options.seconds)
    stop.set()
    for each in peers:
        each.join(30)
    after = master(cluster)
    show = lambda times: f"p50 {times[len(times) // 2]:.1f} ms, p99 {times[int(len(times) * 0.99)]:.0f} ms"
    print(f"a second client writes, alone: {show(alone)}")
    print(f"the same beside {PEERS} such peers ({shaken[0]} handshakes in {options.seconds} s): {show(times)}, "
          f"{failed} of {len(times)} failed; master {before} then {after}")
    if before != after:
        bad.append("the master changed")
    if failed:
        bad.append("requests of the second client failed")
    return bad


if __name__ == "__main__":
    main()
