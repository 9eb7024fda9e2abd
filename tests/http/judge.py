"""Asks a node what it refuses, with bodies of many sizes, as four clients do, and counts what goes wrong.

Usage: judge.py QUICKSTART.json [--rounds N]

What must hold: every request is answered, its answer arrives whole, and the next one on the same connection is answered
too, unless the answer announced the end of the connection.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
DEADLINE = 60
SMALL, MIDDLE, LONG = 2, 100_000, 3_000_000
# Method, path, with credentials, status.
REFUSED = [
    ("POST", "/judge/_doc", False, 401),
    ("POST", "/judge/a/b/c", True, 400),
    ("PATCH", "/judge/_bulk", True, 405),
    ("POST", "/judge/_doc?nonsense=1", True, 400),
    ("PUT", "/_security/user/_nothing", True, 400),
]


class Node:
    def __init__(self, file):
        with open(file) as text:
            known = json.load(text)
        self.url = known["nodes"][0]["http"]
        self.ca = known["ca"]
        self.login = f"{known['username']}:{known['password']}"
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port

    def connect(self):
        context = ssl.create_default_context(cafile=self.ca)
        plain = socket.create_connection((self.host, self.port), timeout=DEADLINE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=self.host)

    def head(self, method, path, allowed, more=""):
        basic = base64.b64encode(self.login.encode()).decode()
        credentials = f"authorization: Basic {basic}\r\n" if allowed else ""
        return f"{method} {path} HTTP/1.1\r\nhost: judge\r\n{credentials}{more}"


class Count:
    """How often something was tried, and what went wrong."""

    def __init__(self, what):
        self.what, self.tries, self.wrong = what, 0, []

    def add(self, wrong):
        self.tries += 1
        if wrong:
            self.wrong.append(wrong)

    def tell(self):
        state = "ok" if not self.wrong else "FAILED"
        print(f"{state}: {self.what}: {len(self.wrong)} of {self.tries} went wrong")
        for line in sorted(set(self.wrong))[:5]:
            print(f"    {line}")
        return not self.wrong


def read_answer(stream):
    """The status and headers of an answer, once its body was read; None when the connection has ended."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = stream.recv(65536)
        if not piece:
            return None
        seen += piece
    head, _, body = seen.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    missing = int(headers.get("content-length", 0)) - len(body)
    while missing > 0:
        piece = stream.recv(65536)
        if not piece:
            return None
        missing -= len(piece)
    return int(lines[0].split()[1]), headers


def chunked(body):
    return b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 8192]), body[i : i + 8192]) for i in range(0, len(body), 8192))


def by_sockets(node, rounds):
    for size in (SMALL, MIDDLE, LONG):
        for form in ("with its length", "in chunks"):
            count = Count(f"sockets, a body of {size} bytes {form}, then the next request")
            for number in range(rounds):
                count.add(refused_then_asked(node, *REFUSED[number % len(REFUSED)], size, form == "in chunks"))
            yield count


def refused_then_asked(node, method, path, allowed, status, size, in_chunks):
    body = b"{" + b" " * (size - 2) + b"}"
    more = "content-type: application/json\r\n"
    more += "transfer-encoding: chunked\r\n" if in_chunks else f"content-length: {size}\r\n"
    where = f"{method} {path}"
    try:
        with node.connect() as stream:
            stream.sendall((node.head(method, path, allowed, more) + "\r\n").encode())
            stream.sendall(chunked(body) + b"0\r\n\r\n" if in_chunks else body)
            answer = read_answer(stream)
            if answer is None:
                return f"{where}: closed without an answer"
            if answer[0] != status:
                return f"{where}: {answer[0]} and not {status}"
            if answer[1].get("connection") == "close":
                rest = stream.recv(1)
                return f"{where}: more came after the announced end" if rest else None
            stream.sendall((node.head("GET", "/", True) + "\r\n").encode())
            after = read_answer(stream)
            if after is None or after[0] != 200:
                return f"{where}: the next request failed although no end was announced: {after}"
    except OSError as error:
        return f"{where}: {error.__class__.__name__}"
    return None


def by_curl(node, rounds, work):
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout
    for http in ("--http1.1", "--http2"):
        if http == "--http2" and "HTTP2" not in version:
            print("SKIPPED: this curl does not speak HTTP/2")
            continue
        base = ["curl", "--silent", "--show-error", http, "--max-time", str(DEADLINE), "--cacert", node.ca]
        for size in (SMALL, MIDDLE, LONG):
            count = Count(f"curl {http}, a body of {size} bytes, then the next request")
            body = work / f"{size}.json"
            body.write_bytes(b"{" + b" " * (size - 2) + b"}")
            for number in range(rounds):
                method, path, allowed, status = REFUSED[number % len(REFUSED)]
                login = ["--user", node.login]
                refused = ["-X", method, "--data-binary", f"@{body}", "-H", "content-type: application/json"]
                told = ["--output", os.devnull, "--write-out", "%{http_code} "]
                command = base + refused + (login if allowed else []) + told + [node.url + path]
                command += ["--next"] + base[1:] + login + told + [node.url + "/"]
                done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE)
                wanted = f"{status} 200"
                right = done.returncode == 0 and done.stdout.strip() == wanted
                count.add(None if right else f"{method} {path}: {done.returncode} {done.stdout}{done.stderr.strip()}")
            yield count
        count = Count(f"curl {http} --head")
        for path, status in (("/", 200), ("/judge-nothing", 404), ("/_search", 405), ("/_nothing", 400)):
            command = base + ["--user", node.login, "--head", node.url + path]
            done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE)
            right = done.returncode == 0 and f" {status}" in done.stdout.split("\n")[0]
            count.add(None if right else f"HEAD {path}: {done.returncode} {done.stderr.strip()}")
        yield count


def by_nghttp(node, rounds, work):
    basic = base64.b64encode(node.login.encode()).decode()
    for size in (SMALL, MIDDLE, LONG):
        count = Count(f"nghttp, a body of {size} bytes")
        for number in range(rounds):
            method, path, allowed, status = REFUSED[number % len(REFUSED)]
            command = ["nghttp", "--verbose", "--null-out", "--no-dep", "--timeout", str(DEADLINE)]
            command += ["--data", str(work / f"{size}.json"), "-H", f":method: {method}"]
            command += ["-H", "content-type: application/json"]
            command += ["-H", f"authorization: Basic {basic}"] if allowed else []
            done = subprocess.run(command + [node.url + path], capture_output=True, text=True, timeout=2 * DEADLINE)
            text = done.stdout + done.stderr
            wrong = None
            if f":status: {status}" not in text:
                wrong = f"{method} {path}: no status {status}"
            elif re.search(r"recv (\x1b\[[0-9;]*m)?RST_STREAM", text):
                wrong = f"{method} {path}: the stream was reset"
            count.add(wrong)
        yield count
    count = Count("nghttp, HEAD")
    for path in ("/", "/_search", "/_nothing"):
        command = ["nghttp", "--verbose", "--null-out", "--no-dep", "--timeout", str(DEADLINE), "-H", ":method: HEAD"]
        command += ["-H", f"authorization: Basic {basic}", node.url + path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE)
        text = done.stdout + done.stderr
        wrong = None
        if ":status:" not in text:
            wrong = f"HEAD {path}: no answer"
        elif re.search(r"recv (\x1b\[[0-9;]*m)?(DATA|RST_STREAM)", text) or "PROTOCOL_ERROR" in text:
            wrong = f"HEAD {path}: a body came"
        count.add(wrong)
    yield count


def by_java(node, rounds, work):
    environment = {**os.environ, "JUDGE_LOGIN": node.login, "JUDGE_CA": node.ca}
    command = ["java", str(HERE / "Judge.java"), node.url, str(rounds)]
    command += [f"{method} {path} {str(allowed).lower()} {status}" for method, path, allowed, status in REFUSED]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60 * DEADLINE)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"FAILED: java: {done.stdout}{done.stderr}")
    for line in done.stdout.splitlines():
        what, tries, *wrong = line.split("\t")
        count = Count(what)
        count.tries, count.wrong = int(tries), wrong
        yield count


def has_java():
    """Java 11 and on have the client, and run a source file."""
    if not shutil.which("java") or not shutil.which("javac"):
        return False
    version = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', version)
    return found is not None and int(found.group(1)) >= 11


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("quickstart")
    parser.add_argument("--rounds", type=int, default=10, help="tries of each form with each client")
    given = parser.parse_args()
    node = Node(given.quickstart)
    counts = []

    def take(some):
        for count in some:
            count.tell()
            sys.stdout.flush()
            counts.append(count)

    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        for size in (SMALL, MIDDLE, LONG):
            (work / f"{size}.json").write_bytes(b"{" + b" " * (size - 2) + b"}")
        take(by_sockets(node, given.rounds))
        for name, there, judge in (
            ("curl", shutil.which("curl"), by_curl),
            ("nghttp (package nghttp2-client)", shutil.which("nghttp"), by_nghttp),
            ("a Java development kit, 11 or later,", has_java(), by_java),
        ):
            if there:
                take(judge(node, given.rounds, work))
            else:
                print(f"SKIPPED: {name} is not installed")
    failed = [count for count in counts if count.wrong]
    print(f"{len(counts) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
