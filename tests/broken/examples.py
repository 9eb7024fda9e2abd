#!/usr/bin/env python3
"""Runs the examples that `--help` prints, each as it is printed, in a directory where what it names is there.

    tests/broken/examples.py --binary target/debug/ringwall [--keep] [TEXT ...]

With TEXT only the examples that contain it. An example fails if it ends with another status than 0. What an example
names and a test cannot have (a host, a path below /etc, a token) is replaced as REPLACED says; those in LEFT_OUT need
more, and name the test that has it. Standard library only.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from run import free_ports

TOOLS = ["quickstart", "init", "start", "doctor", "certutil", "keystore", "setup-passwords", "reset-password",
         "create-enrollment-token", "reconfigure-node", "users", "service-tokens", "settings", "completions", "man"]

# Examples that are run elsewhere, by a part of their text.
LEFT_OUT = {
    "ringwall quickstart": "tests/chaos/cluster.py",
    "bin/elasticsearch": "crates/cli/tests/cli/start.rs and first_start.rs",
    "elasticsearch-certutil rotate": "crates/cli/tests/cli/certutil_rotate.rs",
    "elasticsearch-certutil http --answers": "crates/cli/tests/cli/certutil_http.rs",
    "--enrollment-token TOKEN": "crates/cli/tests/cli/first_start.rs",
    "setup-passwords": "crates/cli/tests/cli/passwords.rs",
    "elasticsearch-create-enrollment-token": "crates/cli/tests/cli/first_start.rs",
    "| less": "a person",
}

REPLACED = {
    "/etc/elasticsearch": "config",
    "/run/secrets": "secrets",
    "/etc/bash_completion.d/": "",
    "~/.zfunc/": "",
    "~/.config/fish/completions/": "",
    "/usr/local/share/man/man1": "man1",
    "man -l ": "test -s ",
    "es01:9200": "127.0.0.1:$http",
    "es01:9300": "127.0.0.1:$transport",
    "es02:9200": "127.0.0.1:$http",
    "es02:9300": "127.0.0.1:$transport",
    "network.host=10.0.0.5": "network.host=127.0.0.1",
}

# What answers the questions, by a part of the example; nothing is asked by the others.
ANSWERS = {
    "certutil ca": "\n\n",
    "certutil cert --ca": "\n\n\n\n\n\n",
    "certutil csr --in": "secret\n" * 4,
    "certutil http": "n\nn\nn\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "certutil renew --ca elastic": "\n\n",
    "inspect elastic": "\n",
    "create -p": "keystore-secret\nkeystore-secret\n",
    "passwd": "keystore-secret\nkeystore-secret\n",
    "keystore add ": "y\nsecret-value\nsecret-value\n",
    "keystore set ": "secret-value\nsecret-value\n",
    "useradd": "ann-password\nann-password\n",
    "users passwd": "ann-password\nann-password\n",
    "reset-password -u kibana_system -i": "y\nkibana-password\nkibana-password\n",
    "reset-password": "y\n",
}

SCENE = r"""
"$ringwall" init . > /dev/null
export PATH=$PWD/bin:$PATH
elasticsearch-certutil ca --silent --key-type ec-p256 --pass '' --out elastic-stack-ca.p12
elasticsearch-certutil ca --silent --key-type ec-p256 --pass ca-secret --out ca.p12
elasticsearch-certutil ca --silent --key-type ec-p256 --pem --out ca.zip
python3 -m zipfile -e ca.zip . && mv ca/ca.* . && rm -r ca ca.zip
echo ca-secret > ca.pass; echo node-secret > node.pass; echo file-secret > pw; echo some-ca-secret > ca-password.txt
elasticsearch-certutil cert --silent --key-type ec-p256 --ca elastic-stack-ca.p12 --ca-pass '' --pass '' --out elastic-certificates.p12
cp elastic-certificates.p12 config/
elasticsearch-certutil cert --silent --key-type ec-p256 --ca ca.p12 --ca-pass ca-secret --pass node-secret --name n1 --out node1.p12
elasticsearch-certutil cert --silent --key-type ec-p256 --pem --ca-cert ca.crt --ca-key ca.key --name node1 --out node1.zip
python3 -m zipfile -e node1.zip . && mv node1/* config/ && rmdir node1 && rm node1.zip
printf 'instances:\n  - name: es01\n    dns: es01.example\n  - name: es02\n    ip: 192.0.2.2\n' > instances.yml
elasticsearch-certutil cert --silent --key-type ec-p256 --ca ca.p12 --ca-pass ca-secret --in instances.yml --pass file-secret --out bundle.zip
elasticsearch-certutil csr --silent --name es01 --key-type ec-p256 --out es01.zip && python3 -m zipfile -e es01.zip . && mv es01/es01.csr . && rm -r es01 es01.zip
mkdir secrets; echo one > secrets/bootstrap.password; echo '{"bootstrap.password": "two-words"}' > secrets.json
echo three-words > secret.txt; echo '{}' > account.json
elasticsearch-keystore create > /dev/null
echo first-password | elasticsearch-keystore add --stdin bootstrap.password
"""

# More, by a part of the example.
BEFORE = {
    "keystore create": "rm config/elasticsearch.keystore",
    "keystore add bootstrap": "elasticsearch-keystore remove bootstrap.password",
    "--password-file old.txt": "echo old-secret > old.txt; echo new-secret > new.txt; chmod 600 *.txt\n"
                               "elasticsearch-keystore --password-file old.txt passwd --new-password-file old.txt 2> /dev/null || "
                               "printf 'old-secret\\nold-secret\\n' | elasticsearch-keystore passwd > /dev/null",
    "has-passwd": "printf 'old-secret\\nold-secret\\n' | elasticsearch-keystore passwd > /dev/null",
    "userdel": "echo ann-password | elasticsearch-users useradd ann --password-file /dev/stdin",
    "users passwd": "echo ann-password > p; elasticsearch-users useradd ann --password-file p",
    "users roles": "echo ann-password > p; elasticsearch-users useradd ann --password-file p",
    "service-tokens delete": "elasticsearch-service-tokens create elastic/kibana my-token > /dev/null\n"
                             "elasticsearch-service-tokens create elastic/kibana token-1 > /dev/null",
    "--pass-file": "chmod 600 *.pass pw ca-password.txt",
    "--password-file pw": "chmod 600 pw",
    "--out ca.p12": "rm ca.p12",
}

# In the home of a node that runs.
RUNNING = ("reset-password", "doctor --peer", "check --url")


def examples(binary):
    """The examples of all commands, continued lines joined, with what is said of them cut off."""
    def walk(words):
        text = subprocess.run([binary, *words, "--help"], stdout=subprocess.PIPE, text=True, check=True,
                              env={**os.environ, "COLUMNS": "400"}).stdout
        found = re.search(r"\nExamples:\n((?:  .*\n?)+)", text)
        lines = found.group(1).rstrip().splitlines() if found else []
        for line in lines:
            starts = re.match(r"  (?:ringwall|elasticsearch-|bin/|printf)", line)
            if starts:
                yield re.split(r"\s{4,}", line.strip())[0]
        commands = re.search(r"\nCommands:\n((?:  .*\n?)+)", text)
        for line in commands.group(1).splitlines() if commands else []:
            word = re.match(r"  (\S+)", line)
            if word and word.group(1) != "help":
                yield from walk([*words, word.group(1)])
    for tool in TOOLS:
        yield from walk([tool])


def matching(table, example):
    return [value for part, value in table.items() if part in example]


class Running:
    """One secured node, made when the first example needs it."""

    def __init__(self, binary, directory):
        self.directory = directory
        self.http, = free_ports(1)
        self.process = subprocess.Popen(
            [binary, "quickstart", "--nodes", "1", "--dir", directory, "--http-port", str(self.http)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        made, deadline = directory / "quickstart.json", time.time() + 120
        while not made.exists():
            if self.process.poll() is not None or time.time() > deadline:
                raise SystemExit("quickstart failed")
            time.sleep(0.1)
        node = json.loads(made.read_text())["nodes"][0]
        self.home, self.transport = pathlib.Path(node["home"]), node["transport"].rsplit(":", 1)[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("texts", nargs="*")
    args = parser.parse_args()
    binary = str(args.binary.resolve())
    root = pathlib.Path(tempfile.mkdtemp(prefix="examples-"))
    programs = root / "programs"
    programs.mkdir()
    (programs / "ringwall").symlink_to(binary)
    running, failed, count = None, 0, 0
    try:
        for number, example in enumerate(dict.fromkeys(examples(binary))):
            if args.texts and not any(text in example for text in args.texts):
                continue
            if matching(LEFT_OUT, example):
                continue
            count += 1
            command = example
            for part, value in REPLACED.items():
                command = command.replace(part, value)
            environment = {**os.environ, "ringwall": binary, "SECRET": "a-secret",
                           "PATH": f"{programs}:{os.environ['PATH']}"}
            if any(part in example for part in RUNNING):
                running = running or Running(binary, root / "running")
                home = running.home
                environment.update(http=str(running.http), transport=str(running.transport))
                script = ""
            else:
                home = root / str(number)
                home.mkdir()
                script = SCENE
            environment["ES_HOME"] = str(home)
            script += "export PATH=$PWD/bin:$PATH\n" + "\n".join(matching(BEFORE, example))
            prepared = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=home, env=environment,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if prepared.returncode:
                print(f"FAIL {example}: cannot be prepared\n{prepared.stdout[-1500:]}")
                failed += 1
                continue
            answers = (matching(ANSWERS, example) or [""])[0]
            done = subprocess.run(["setsid", "bash", "-euo", "pipefail", "-c", f"export PATH=$PWD/bin:$PATH\n{command}"], cwd=home,
                                  env=environment, input=answers, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                failed += 1
                print(f"FAIL {example}: status {done.returncode}\n{done.stdout[-1500:]}\n")
            else:
                print(f"ok   {example}", flush=True)
    finally:
        if running:
            running.stop()
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)
    print(json.dumps({"examples": count, "failed": failed}))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
