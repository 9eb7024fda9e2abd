#!/usr/bin/env python3
"""Kills the tools with SIGKILL at random moments, and looks whether any file is half-written.

Usage: tests/kill/run.py [--rounds N] [--binary PATH]

After each kill the file must be the old one or the new one: the tool that reads it says so. Ends with status 1
at the first file that is neither, and leaves its home where it is.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Home:
    def __init__(self, binary, path):
        self.path = path
        self.binary = binary
        subprocess.run([binary, "init", path], check=True, capture_output=True)
        self.config = path / "config"

    def command(self, tool, *words):
        return [str(self.path / "bin" / f"elasticsearch-{tool}".rstrip("-")), *map(str, words)]

    def run(self, tool, *words, stdin="", check=True):
        done = subprocess.run(self.command(tool, *words), input=stdin, text=True, capture_output=True, cwd=self.path)
        if check and done.returncode != 0:
            raise Broken(f"{tool} {words}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def kill(self, tool, *words, stdin="", within):
        """Starts the tool and kills it after a random part of `within` seconds. Returns whether it was killed."""
        child = subprocess.Popen(
            self.command(tool, *words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            text=True, cwd=self.path)
        try:
            child.stdin.write(stdin)
            child.stdin.close()
        except BrokenPipeError:
            pass
        time.sleep(random.random() * within)
        child.send_signal(signal.SIGKILL)
        return child.wait() == -signal.SIGKILL


class Broken(Exception):
    pass


def keystore_add(home, number):
    name = "bootstrap.password"
    old = home.run("keystore", "show", name)
    killed = home.kill("keystore", "add", "-f", "-x", name, stdin=f"value-{number}\n", within=home.typical)
    new = home.run("keystore", "show", name)
    if new not in (old, f"value-{number}"):
        raise Broken(f"the keystore holds [{new}], neither [{old}] nor [value-{number}]")
    return killed


def keystore_passwd(home, number):
    old, new = home.password, f"password-{number}"
    killed = home.kill("keystore", "passwd", stdin=f"{old}\n{new}\n{new}\n", within=home.typical)
    for password in (new, old):
        if "keystore.seed" in home.run("keystore", "list", stdin=f"{password}\n", check=False):
            home.password = password
            return killed
    raise Broken("the keystore opens with neither the old nor the new password")


def useradd(home, number):
    before = json.loads(home.run("users", "list", "--json"))
    name = f"user-{number}"
    killed = home.kill("users", "useradd", name, "-p", "a-password", "-r", "viewer", within=home.typical)
    after = json.loads(home.run("users", "list", "--json"))
    if after not in (before, before | {name: ["viewer"]}):
        raise Broken(f"the users are {after}, and were {before}")
    return killed


def certutil_cert(home, number):
    out = home.path / f"node-{number}.p12"
    killed = home.kill(
        "certutil", "cert", "--ca", home.path / "ca.p12", "--ca-pass", "", "--pass", "", "--key-type", "ec-p256",
        "--out", out, within=home.typical)
    if out.exists():
        home.run("certutil", "inspect", out)
        out.unlink()
    return killed


def certutil_renew(home, number):
    file = home.path / "node.p12"
    if not file.exists():
        home.run("certutil", "cert", "--ca", home.path / "ca.p12", "--ca-pass", "", "--pass", "", "--key-type", "ec-p256",
                 "--out", file)
    killed = home.kill(
        "certutil", "renew", "--ca", home.path / "ca.p12", "--ca-pass", "", "--pass", "", file, within=home.typical)
    home.run("certutil", "inspect", file)
    return killed


def first_start(home, number):
    """A start that is killed while the node secures itself; the next one completes it."""
    other = Home(home.binary, home.path / f"first-{number}")
    words = ("-E", "http.port=0", "-E", "transport.port=0", "--until-stdin-ends")
    killed = other.kill("", *words, within=home.typical)
    # Its input has ended, so it stops when it has started.
    other.run("", *words)
    yml = (other.config / "elasticsearch.yml").read_text()
    if yml.count("BEGIN SECURITY AUTO CONFIGURATION") != 1 or yml.count("END SECURITY AUTO CONFIGURATION") != 1:
        raise Broken(f"not one whole block of settings in {other.config}")
    secrets = other.run("keystore", "list").split()
    for name in ("http.ssl.keystore", "transport.ssl.keystore", "transport.ssl.truststore"):
        if f"xpack.security.{name}.secure_password" not in secrets:
            raise Broken(f"no password of {name} in {other.config}")
    shutil.rmtree(other.path)
    return killed


def prepare(home):
    home.run("certutil", "ca", "--key-type", "ec-p256", "--pass", "", "--out", home.path / "ca.p12")
    home.run("users", "useradd", "keeper", "-p", "a-password", "-r", "viewer")


SCENARIOS = {
    "keystore add": (keystore_add, ("keystore", "add", "-f", "-x", "bootstrap.password"), "value\n"),
    "keystore passwd": (keystore_passwd, ("keystore", "passwd"), "\n\n"),
    "users useradd": (useradd, ("users", "useradd", "first", "-p", "a-password", "-r", "viewer"), ""),
    "first start": (first_start, ("", "-E", "http.port=0", "-E", "transport.port=0", "--until-stdin-ends"), ""),
    "certutil renew": (certutil_renew, ("certutil", "cert", "--self-signed", "--pass", "", "--key-type", "ec-p256", "--out", "first.p12"), ""),
    "certutil cert": (certutil_cert, ("certutil", "cert", "--self-signed", "--pass", "", "--key-type", "ec-p256", "--out", "first.p12"), ""),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--binary", default=str(ROOT / "target/release/ringwall"))
    parser.add_argument("--only", help="scenarios whose title has this text")
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    directory = tempfile.mkdtemp(prefix="ringwall-kill-")
    for title, (scenario, words, stdin) in SCENARIOS.items():
        if arguments.only and arguments.only not in title:
            continue
        home = Home(binary, pathlib.Path(directory) / title.replace(" ", "-"))
        prepare(home)
        home.run("keystore", "create")
        home.run("keystore", "add", "-x", "bootstrap.password", stdin="value\n")
        home.password = ""
        if title == "keystore passwd":
            home.run("keystore", "passwd", stdin="password\npassword\n")
            home.password = "password"
            words, stdin = ("keystore", "passwd"), "password\npassword\npassword\n"
        begun = time.monotonic()
        home.run(*words, stdin=stdin)
        # Kills fall before, within and after the write.
        home.typical = (time.monotonic() - begun) * 1.3
        killed = 0
        for number in range(arguments.rounds):
            try:
                killed += scenario(home, number)
            except Broken as broken:
                sys.exit(f"FAILED {title}, round {number}, home {home.path}: {broken}")
        print(f"{title}: {arguments.rounds} rounds, {killed} killed in time, no file half-written", flush=True)
    subprocess.run(["rm", "-rf", directory], check=True)


if __name__ == "__main__":
    main()
