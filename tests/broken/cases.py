"""The table of broken clusters: what is broken, which sentence tells it at which end, and the commands that mend it."""

import dataclasses
import re

SSL = "xpack.security.transport.ssl"
HTTP = "xpack.security.http.ssl"


@dataclasses.dataclass
class Case:
    name: str
    about: str
    # Shell, in the directory of the case, after the homes were laid out well; words.sh has its verbs.
    fault: str
    # (`NODE PLACE`, regular expression): PLACE is log, doctor, health (of the cluster) or report (of health). Named
    # groups are variables of the cure: `(?P<run>...)` is a command that the sentence prints.
    says: list
    # Shell as well. What is printed as a command is run as it was printed.
    cure: str
    # Who must be started again for the cure to have an effect; the others take it up by themselves.
    restart: list = dataclasses.field(default_factory=list)
    nodes: tuple = ("es01", "es02")
    # In whose homes `doctor` must end with 1 while the cluster is broken.
    doctor: list = dataclasses.field(default_factory=list)
    # Shell, when every sentence but those of the log may be looked for: what a client does.
    act: str = None
    # As `says`: what is no longer said after the cure.
    gone: list = dataclasses.field(default_factory=list)
    # What would mislead: as `says`, but must not appear.
    never: list = dataclasses.field(default_factory=list)
    # Nodes that start when the others are a cluster.
    later: list = dataclasses.field(default_factory=list)
    # Nodes that do not run until the cure.
    stopped: list = dataclasses.field(default_factory=list)
    # Of them, those that start after the act.
    then: list = dataclasses.field(default_factory=list)
    # Programs without which the case is skipped.
    tools: tuple = ()
    # The user of es01; doctor and the cure run as root.
    user: str = None


def words(text):
    """A sentence as a pattern: `...` stands for anything."""
    return ".*?".join(re.escape(part) for part in text.split("..."))


# A node that founds alone soon looks for nobody: es01 would not dial.
BOTH_FOUND = "everywhere setting cluster.initial_master_nodes '[es01, es02]'\n"

# In no message: names of types and variants, their fields, the debug form of values, empty names.
NO_MESSAGE = [
    r"\b(?:[A-Z][a-z]+){2,}\b(?<!OpenSearch)",
    r"\bTls\d\d\w+",
    r"\b\w+\{(?:path|cert|key)=",
    r"\b(?:PEM-\w+|\w+-certificate|\w+-keystore)\{",
    r"dispatch task",
    r"\{\}\{",
    r"host \[\]",
    r"\bSome\(|\bNone\b|\bOk\(|\bErr\(|\bOs \{",
]

# Commands that messages print and that other tests run: which, and the words of it that do so.
RUN_ELSEWHERE = {
    "ringwall doctor": ("tests/broken/run.py", '"doctor"'),
    "ringwall init": ("tests/broken/words.sh", '"$ringwall" init'),
    "elasticsearch-keystore create": ("tests/broken/words.sh", 'elasticsearch-keystore" create'),
    "elasticsearch-certutil ca": ("tests/broken/words.sh", '"$ringwall" certutil ca'),
    "elasticsearch-certutil http": ("crates/cli/tests/cli/certutil_http.rs", 'bench.certutil(&["http"'),
    "elasticsearch-keystore upgrade": ("crates/cli/tests/cli/keystore.rs", 'keystore(&["upgrade"]'),
    "elasticsearch-reset-password -u": ("crates/cli/tests/cli/passwords.rs", '&["-u", "elastic"]'),
    "elasticsearch-create-enrollment-token -s": ("crates/cli/tests/cli/first_start.rs",
                                                 'tool("elasticsearch-create-enrollment-token")'),
    "bin/elasticsearch": ("crates/cli/tests/cli/first_start.rs", '"--enrollment-token", &token'),
    "openssl ec": ("crates/pki/tests/pem_keys.rs", '&["ec", "-param_enc", "named_curve"]'),
    "ringwall certutil": ("crates/cli/tests/cli/certutil_renew.rs", '"renew"'),
    "ringwall COMMAND": ("crates/cli/tests/cli/reference.rs", '.arg("--help")'),
    "ringwall": ("crates/cli/tests/cli/reference.rs", '.arg("--help")'),
    "ringwall settings": ("crates/cli/tests/cli/reference.rs", '.arg("settings")'),
    "ringwall quickstart": ("crates/cli/tests/cli/quickstart.rs", '"quickstart", "--dir"'),
}

# Files whose texts are made of commands without backticks, and the tests that run them.
BARE_ELSEWHERE = {
    "layout.rs": ("crates/cli/tests/cli/certutil_http.rs", "a_node_with_the_sample_settings_serves_clients"),
    "report.rs": ("crates/cli/tests/cli/quickstart.rs", "curl"),
    # Raising a limit takes a right that a machine of tests need not give: its words are tested, the command is not run.
    "process.rs": ("crates/node/src/process.rs", 'text.starts_with("unable to lock memory: ")'),
}

ADD_TO_TRUST = r"add (?:the|that) (?:missing )?CA"

DISCOVERY = [
    Case(
        "no-master-eligible", "no node has the role master",
        "everywhere setting node.roles '[data]'; everywhere remove cluster.initial_master_nodes",
        [
            ("es01 log", words("none of the nodes discovered is master-eligible: give at least one of [es01, es02] the role "
                               "[master] in [node.roles]")),
            ("es02 health", words("503 ...none of the nodes discovered is master-eligible")),
            ("es01 report", words("none of the nodes discovered is master-eligible")),
            ("es01 doctor", words("none of the nodes discovered is master-eligible")),
        ],
        "setting es01 node.roles '[master, data]'; setting es01 cluster.initial_master_nodes '[es01]'",
        restart=["es01"], doctor=["es01"],
    ),
    Case(
        "founder-misspelled", "a name in cluster.initial_master_nodes that no node bears, though one bears almost the same",
        "everywhere setting cluster.initial_master_nodes '[es01, es-02]'",
        [
            ("es01 log", words("missing [es-02]...[es-02] may mean [es02], which is there: an entry must be exactly its "
                               "[node.name]")),
            ("es02 log", words("[es-02] may mean [es02], the name of this node")),
            ("es01 health", words("[es-02] may mean [es02]")),
            ("es02 doctor", words("[es-02] may mean [es02], the name of this node")),
            ("es01 doctor", words("[es-02] may mean [es02]")),
        ],
        "everywhere setting cluster.initial_master_nodes '[es01, es02]'",
        restart=["es01", "es02"], doctor=["es01", "es02"],
    ),
    Case(
        "no-founders", "nobody says who founds the cluster",
        "everywhere remove cluster.initial_master_nodes",
        [
            ("es01 log", words("[cluster.initial_master_nodes] is empty on this node")),
            ("es01 health", words("to found a new cluster, name its first master-eligible nodes in "
                                  "[cluster.initial_master_nodes] of each of them")),
            ("es02 doctor", words("[cluster.initial_master_nodes] is empty on this node")),
        ],
        "everywhere setting cluster.initial_master_nodes '[es01, es02]'",
        restart=["es01", "es02"], doctor=["es01", "es02"],
    ),
    Case(
        "founder-waits", "a node waits for another to found the cluster, which itself waits for one that is not there",
        "setting es01 cluster.initial_master_nodes '[es01, es03]'; "
        "setting es02 cluster.initial_master_nodes '[es01, es02]'",
        [
            ("es02 log", words("[es01], the first of them by name, is to found the cluster and has not: it says that")),
            ("es02 log", words("it says that...this node must discover master-eligible nodes [es01, es03] to bootstrap a "
                               "cluster, missing [es03]")),
            ("es02 health", words("[es01], the first of them by name, is to found the cluster")),
            ("es02 doctor", words("[es01], the first of them by name, is to found the cluster")),
            ("es01 doctor", words("missing [es03]")),
        ],
        "everywhere setting cluster.initial_master_nodes '[es01, es02]'",
        restart=["es01", "es02"], doctor=["es01", "es02"],
    ),
    Case(
        "not-a-founder", "a node that is in nobody's list waits for founders that do not run",
        "everywhere setting cluster.initial_master_nodes '[es07]'",
        [
            ("es01 log", words("[cluster.initial_master_nodes] is [es07] and does not name this node, [es01]")),
            ("es01 doctor", words("does not name this node, [es01]")),
        ],
        "everywhere setting cluster.initial_master_nodes '[es01]'",
        restart=["es01", "es02"], doctor=["es01", "es02"],
    ),
    Case(
        "one-way", "a node that publishes an address at which the others do not reach it",
        "setting es02 transport.publish_port $spare_port; everywhere setting cluster.initial_master_nodes '[es01, es02]'\n"
        "setting es01 discovery.seed_hosts '[]'",
        [
            ("es02 log", words("[es01] is reached at [127.0.0.1:...], but it does not reach this node at [127.0.0.1:...]: ")
             + ".*refused"),
            ("es02 health", words("does not reach this node")),
            ("es02 log", words("correct [transport.publish_host] or [transport.publish_port]")),
            ("es02 doctor", words("does not reach this node")),
        ],
        "remove es02 transport.publish_port",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "one-way-join", "the same, where the cluster is there already",
        "setting es02 transport.publish_port $spare_port; setting es01 discovery.seed_hosts '[]'",
        [
            ("es02 log", words("failed to join the cluster...[es01], the master, does not reach [es02] at [127.0.0.1:...correct "
                               "[transport.publish_host] or [transport.publish_port] there")),
            ("es01 log", words("[es02] (...) cannot join: [es01], the master, does not reach [es02] at [127.0.0.1:")),
            ("es02 doctor", words("[es01], the master, does not reach [es02]")),
        ],
        "remove es02 transport.publish_port",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "seed-unresolvable", "a seed host whose name has no address",
        "setting es02 discovery.seed_hosts '[\"es01.invalid:9300\"]'; setting es01 discovery.seed_hosts '[]'",
        [
            ("es02 log", words("failed to resolve host [es01.invalid")),
            ("es02 doctor", words("the seed host [es01.invalid:9300] does not resolve...correct the name")),
        ],
        "setting es02 discovery.seed_hosts \"[\\\"127.0.0.1:$es01_transport\\\"]\"",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "seed-nobody", "a seed host at whose port nobody listens",
        "setting es02 discovery.seed_hosts \"[\\\"127.0.0.1:$spare_port\\\"]\"; setting es01 discovery.seed_hosts '[]'",
        [
            ("es02 log", words("last error per address: [127.0.0.1:...refused")),
            ("es02 doctor", words("see that the node there runs, listens on this address")),
        ],
        "setting es02 discovery.seed_hosts \"[\\\"127.0.0.1:$es01_transport\\\"]\"",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "seed-is-http", "a seed host with the HTTP port of the node",
        "setting es02 discovery.seed_hosts \"[\\\"127.0.0.1:$es01_http\\\"]\"; setting es01 discovery.seed_hosts '[]'",
        [
            ("es02 log", words("it may not speak TLS: check that the port is its transport port")),
            ("es02 doctor", words("plain text...or correct the port")),
        ],
        "setting es02 discovery.seed_hosts \"[\\\"127.0.0.1:$es01_transport\\\"]\"",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "other-cluster-name", "two names of one cluster",
        "setting es02 cluster.name brokn",
        [
            ("es02 log", words("remote cluster name [broken]")),
            ("es01 log", words("remote cluster name [brokn]")),
            ("es02 doctor", words("cluster.name")),
        ],
        "setting es02 cluster.name broken",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "two-clusters", "two nodes that each founded a cluster of their own",
        "setting es02 cluster.initial_master_nodes '[es02]'; everywhere setting discovery.seed_hosts '[]'\n"
        "es02/bin/elasticsearch > found.out 2>&1 & started=$!\n"
        "until grep -q 'master node changed.*current \\[{' found.out; do sleep 0.1; done\n"
        "kill $started; wait $started || true\n"
        "everywhere setting discovery.seed_hosts \"[\\\"127.0.0.1:$es01_transport\\\", \\\"127.0.0.1:$es02_transport\\\"]\"",
        [
            ("es02 doctor", words("the peers belong to different clusters of one name")),
        ],
        "rm -r es02/data; setting es02 cluster.initial_master_nodes '[es01]'",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "lost-quorum", "of two masters one does not run",
        "everywhere setting cluster.initial_master_nodes '[es01, es02, es03]'\n"
        "for node in $nodes; do $node/bin/elasticsearch > $node.found 2>&1 & done\n"
        "until curl -s -u elastic:$password \"http://127.0.0.1:$es01_http/_cat/nodes?h=name\" | tr -d ' \\n' \\\n"
        "  | grep -q 'es0.es0.es0'; do sleep 0.1; done\n"
        "kill -9 $(jobs -p); wait || true",
        [
            ("es01 log", words("have only discovered non-quorum...missing [es0...]")),
            ("es01 health", words("503 ...have only discovered non-quorum, missing [es0...]")),
            ("es01 doctor", words("have only discovered non-quorum")),
        ],
        ":", restart=["es02", "es03"], stopped=["es02", "es03"], doctor=["es01"], tools=("curl",),
        nodes=("es01", "es02", "es03"),
    ),
    Case(
        "waits-for-approval", "a new node, where an administrator has to approve who joins",
        "setting es01 cluster.membership.approval true",
        [
            ("es02 log", words("is new to this cluster, which lets in only who is approved...approves it with `")
             + "(?P<run>ringwall nodes approve es02)`"),
            ("es02 log", r"`POST /_membership/\S+/_approve\?key=\S+`"),
        ],
        # By name, on the host of a member.
        'ES_HOME=$here/es01 "$ringwall" nodes list --url "http://127.0.0.1:$es01_http" | grep -q "^es02 .* waits for approval"\n'
        'ringwall() { command "$ringwall" "$@"; }; cd es01; ES_HOME=$PWD; export ES_HOME; eval "$run"',
        later=["es02"],
    ),
    Case(
        "older-data", "the data path of a master-eligible node, put back from a backup while the others have gone on",
        ":",
        [
            ("es03 log", words("the data path of [es03] is an older copy of its own, restored from a backup for example: it lacks "
                               "changes of the cluster state that the node had acknowledged")),
            ("es03 log", words("stop the node, empty its data path and start it again")),
        ],
        "rm -r es03/data", restart=["es03"], nodes=("es01", "es02", "es03"), stopped=["es03"], then=["es03"],
        act="restore_older es03", doctor=["es03"], tools=("curl",),
        never=[("es01 log", "panicked"), ("es02 log", "panicked")],
    ),
    Case(
        "port-taken", "the transport port of another node",
        "setting es02 transport.port $es01_transport; setting es02 discovery.seed_hosts \"[\\\"127.0.0.1:$es01_transport\\\"]\"",
        [
            ("es02 log", words("every port of [transport.port] is taken on [127.0.0.1")),
            ("es02 doctor", words("where this node is to listen ([transport.port]), is taken by the node [es01]")),
        ],
        "setting es02 transport.port $es02_transport",
        restart=["es02"], doctor=["es02"], later=["es02"],
    ),
    Case(
        "data-taken", "two nodes with one data path",
        "setting es02 path.data \"$here/es01/data\"",
        [
            ("es02 log", words("failed to obtain node locks")),
            ("es02 doctor", words("the data path of this node, [es02], is that of the node [es01]")),
        ],
        "remove es02 path.data",
        restart=["es02"], doctor=["es02"], later=["es02"],
    ),
]

TRUST = [
    Case(
        "other-ca", "a node of another CA, which sends its certificate alone",
        "authority other --ca-dn CN=Other; issue es02 other",
        [
            ("es01 log", words("this ssl context ([" + SSL + " (with trust configuration: ...ca.crt")),
            ("es01 log", words("did not send the certificate of its issuer [CN=Other]")),
            ("es02 log", words("rejected this node")),
            ("es02 doctor", words("is not acceptable")),
        ],
        "issue es02 ca", doctor=["es02"],
        never=[("es01 log", ADD_TO_TRUST), ("es02 doctor", ADD_TO_TRUST)],
    ),
    Case(
        "other-ca-sent", "a node of another CA, which sends the CA as well",
        "authority other --ca-dn CN=Other; issue es02 other; cat other/ca.crt >> es02/config/node.crt\n"
        "cat other/ca.crt >> es02/config/ca.crt",
        [
            ("es01 log", words("if this node is to trust [CN=Other], append its certificate to [") + r"(?P<file>[^\]]+)"),
            ("es01 doctor", words("CN=Other")),
        ],
        'cat other/ca.crt >> "$file"', doctor=["es01"],
    ),
    Case(
        "other-ca-store", "the same where a truststore says whom to trust",
        "authority other --ca-dn CN=Other; issue es02 other; cat other/ca.crt >> es02/config/node.crt\n"
        "cat other/ca.crt >> es02/config/ca.crt\n"
        "keytool -importcert -noprompt -alias ca -file ca/ca.crt -keystore es01/config/trust.p12 -storetype PKCS12 \\\n"
        "  -storepass secret 2> /dev/null\n"
        f"remove es01 {SSL}.certificate_authorities; setting es01 {SSL}.truststore.path trust.p12\n"
        f"secret es01 {SSL}.truststore.secure_password secret",
        [
            ("es01 log", words("or, if this node is to trust [CN=Other], import its certificate: `") + "(?P<run>keytool [^`]+)"),
            ("es01 doctor", words("import its certificate: `keytool")),
        ],
        'cd other; eval "$run" < <(echo secret)', doctor=["es01"], tools=("keytool",),
    ),
    Case(
        "other-ca-der", "the same where the file that says whom to trust is DER, to which nothing can be appended",
        "authority other --ca-dn CN=Other; issue es02 other; cat other/ca.crt >> es02/config/node.crt\n"
        "cat other/ca.crt >> es02/config/ca.crt\n"
        "openssl x509 -in ca/ca.crt -outform der -out es01/config/ca.cer; "
        f"setting es01 {SSL}.certificate_authorities ca.cer",
        [
            ("es01 log", words("if this node is to trust [CN=Other], name a file of its certificate in ["
                               + SSL + ".certificate_authorities], beside [") + r"[^\]]*ca\.cer\]"),
            ("es01 doctor", words("name a file of its certificate in [" + SSL + ".certificate_authorities], beside [")),
        ],
        f"cp other/ca.crt es01/config/other.crt; setting es01 {SSL}.certificate_authorities '[ca.cer, other.crt]'",
        restart=["es01"], doctor=["es01"], tools=("openssl",),
        never=[("es01 log", "append its certificate"), ("es01 doctor", "append its certificate")],
    ),
    Case(
        "same-name-ca", "two CAs of one name",
        BOTH_FOUND +
        "authority other; cp other/ca.crt es02/config/ca.crt; issue es02 other; cat other/ca.crt >> es02/config/node.crt",
        [
            ("es01 log", words("the CA was created again under the same name")),
            ("es01 log", words("this node has the one with fingerprint [") + r"[0-9a-f]{40}"
             + words("] in [") + r"(?P<mine>[^\]]+)"
             + words("], the server at [127.0.0.1:...] shows the one with fingerprint [") + r"[0-9a-f]{40}"),
            ("es01 doctor", words("the CA was created again under the same name")),
            ("es02 doctor", words("the CA was created again under the same name")),
        ],
        "cp ca/ca.crt es02/config/ca.crt; issue es02 ca", doctor=["es01", "es02"],
    ),
    Case(
        "intermediate-not-sent", "a certificate of an intermediate CA that is not in the certificate's file",
        BOTH_FOUND +
        "sign ca middle 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign'\n"
        "mkdir middle; cp ca/middle.crt middle/ca.crt; cp ca/middle.key middle/ca.key\n"
        "sign middle es02 'subjectAltName=IP:127.0.0.1'; cp middle/es02.crt es02/config/node.crt\n"
        "cp middle/es02.key es02/config/node.key",
        [
            ("es01 log", words("the server did not send the certificate of its issuer [CN=middle]: append it to the file of ["
                               + SSL + ".certificate] there")),
            ("es02 log", words("append the certificate of [CN=middle] to [") + r"(?P<file>[^\]]+)"),
            ("es02 doctor", words("append the certificate of [CN=middle] to [")),
        ],
        'cat middle/ca.crt >> "$file"', doctor=["es02"], tools=("openssl",),
        never=[("es01 log", ADD_TO_TRUST), ("es02 log", ADD_TO_TRUST), ("es02 doctor", ADD_TO_TRUST)],
    ),
    Case(
        "intermediate-not-sent-der", "the same where the certificate's file is DER",
        "sign ca middle 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign'\n"
        "mkdir middle; cp ca/middle.crt middle/ca.crt; cp ca/middle.key middle/ca.key\n"
        "sign middle es02 'subjectAltName=IP:127.0.0.1'; cp middle/es02.key es02/config/node.key\n"
        "openssl x509 -in middle/es02.crt -outform der -out es02/config/node.cer; rm es02/config/node.crt\n"
        f"setting es02 {SSL}.certificate node.cer",
        [
            ("es02 log", words("make a PEM file of [...node.cer], which has no place for another: `")
             + "(?P<run>openssl x509 [^`]+)" + words("`; append the certificate of [CN=middle] to [")
             + r"(?P<file>[^\]]+)" + words("], and name that file in [" + SSL + ".certificate]")),
            ("es02 doctor", words("append the certificate of [CN=middle] to [")),
        ],
        f'eval "$run"; cat middle/ca.crt >> "$file"; setting es02 {SSL}.certificate "$file"',
        restart=["es02"], doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "intermediate-not-sent-p7b", "the same where the certificate's file is PKCS#7",
        "sign ca middle 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign'\n"
        "mkdir middle; cp ca/middle.crt middle/ca.crt; cp ca/middle.key middle/ca.key\n"
        "sign middle es02 'subjectAltName=IP:127.0.0.1'; cp middle/es02.key es02/config/node.key\n"
        "openssl crl2pkcs7 -nocrl -certfile middle/es02.crt -outform der -out es02/config/node.p7b; rm es02/config/node.crt\n"
        f"setting es02 {SSL}.certificate node.p7b",
        [
            ("es02 doctor", words("which has no place for another: `") + "(?P<run>openssl pkcs7 [^`]+)"
             + words("`; append the certificate of [CN=middle] to [") + r"(?P<file>[^\]]+)"),
        ],
        f'eval "$run"; cat middle/ca.crt >> "$file"; setting es02 {SSL}.certificate "$file"',
        restart=["es02"], doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "intermediate-not-sent-p12", "the same where the certificate is in a keystore",
        "sign ca middle 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign'\n"
        "mkdir middle; cp ca/middle.crt middle/ca.crt; cp ca/middle.key middle/ca.key\n"
        "sign middle es02 'subjectAltName=IP:127.0.0.1'\n"
        "openssl pkcs12 -export -inkey middle/es02.key -in middle/es02.crt -name es02 -passout pass:secret "
        "-out es02/config/node.p12\n"
        f"name_p12 es02; secret es02 {SSL}.keystore.secure_password secret",
        [
            ("es02 log", words("import the certificate of [CN=middle] into [...node.p12]: `") + "(?P<run>keytool [^`]+)"),
            ("es02 doctor", words("import the certificate of [CN=middle] into [")),
        ],
        'cd middle; eval "$run" < <(echo secret)', doctor=["es02"], tools=("openssl", "keytool"),
        never=[("es02 log", "append the certificate"), ("es02 doctor", "append the certificate")],
    ),
    Case(
        "trust-of-other-layer", "the trust of the transport is the file of HTTP",
        "authority web --ca-dn CN=Web; cp web/ca.crt es02/config/http-ca.crt\n"
        f"setting es02 {SSL}.certificate_authorities http-ca.crt\n"
        f"setting es02 {HTTP}.certificate_authorities http-ca.crt",
        [
            ("es02 log", words("http-ca.crt], is what [" + HTTP + "] uses: name the CA of the nodes in its place")),
            ("es02 doctor", words("http-ca.crt], is what [" + HTTP + "] uses")),
        ],
        f"cp ca/ca.crt es02/config/; setting es02 {SSL}.certificate_authorities ca.crt",
        restart=["es02"], doctor=["es02"],
        never=[("es02 log", ADD_TO_TRUST), ("es02 doctor", ADD_TO_TRUST)],
    ),
    Case(
        "ca-that-is-none", "a CA without CA:TRUE",
        "mkdir bad; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Bad -days 30 \\\n"
        "  -addext basicConstraints=CA:FALSE -keyout bad/ca.key -out bad/ca.crt 2> /dev/null\n"
        "for node in $nodes; do\n"
        "  sign bad $node 'subjectAltName=IP:127.0.0.1'; cp bad/ca.crt $node/config/ca.crt\n"
        "  cp bad/$node.crt $node/config/node.crt; cp bad/$node.key $node/config/node.key\n"
        "done",
        [
            ("es01 log", words("make the CA certificate again from its key, with CA:TRUE: `") + "(?P<run>printf [^`]+)"),
            ("es01 doctor", words("make the CA certificate again from its key, with CA:TRUE: `")),
        ],
        "cd bad; eval \"$run\"; cp new-ca.crt ../es01/config/ca.crt; cp new-ca.crt ../es02/config/ca.crt", doctor=["es01"], tools=("openssl",),
        never=[("es01 log", "issue a new"), ("es01 doctor", "issue a new")],
    ),
    Case(
        "restricted", "trust_restrictions do not name a node",
        "printf 'trust.subject_name:\\n  - es01.broken\\n' > es01/config/names.yml\n"
        f"setting es01 {SSL}.trust_restrictions.path names.yml\n"
        f"setting es01 {SSL}.trust_restrictions.x509_fields '[subjectAltName.dnsName]'\n"
        "issue es01 ca --ip 127.0.0.1 --dns es01.broken; issue es02 ca --ip 127.0.0.1 --dns es02.broken",
        [
            ("es01 log", words("does not match the trusted names [es01.broken (line 2)] of the file [") + r"(?P<file>[^\]]+)"),
            ("es01 log", words("add [es02.broken] there")),
            ("es01 log", words("x509_fields] is [subjectAltName.dnsName]")),
            ("es01 doctor", words("add [es02.broken] there")),
        ],
        'echo "  - es02.broken" >> "$file"', doctor=["es01"],
    ),
    Case(
        "expired", "a certificate that has ended",
        "dated ca es02 20240101000000Z 20250101000000Z; cp ca/es02.crt es02/config/node.crt; cp ca/es02.key es02/config/node.key",
        [
            ("es01 log", words("the certificate has expired") + ".*" + words("days ago")),
            ("es02 log", words("is valid from [2024-01-01") + ".*" + words("days ago")),
            ("es02 doctor", words("days ago...`") + "(?P<run>elasticsearch-certutil renew [^`]+)"),
        ],
        'PATH=$here/es02/bin:$PATH; cd ca; eval "$run"',
        doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "not-yet-valid", "a certificate of the future: a clock is wrong",
        "dated ca es02 20980101000000Z 20990101000000Z; cp ca/es02.crt es02/config/node.crt; cp ca/es02.key es02/config/node.key",
        [
            ("es01 log", words("is not valid before [2098-01-01")),
            ("es01 log", words("compare the clocks of this host and of the one that issued it")),
            ("es02 doctor", words("2098-01-01")),
        ],
        "issue es02", doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "wrong-name", "a certificate without the address that is dialled",
        BOTH_FOUND +
        "issue es02 ca --dns es02.example",
        [
            ("es01 log", words("the certificate is not valid for [127.0.0.1], the address dialled")),
            ("es02 doctor", words("is for [DNS:es02.example] and not for [127.0.0.1], the address it publishes...`")
             + "(?P<run>elasticsearch-certutil cert [^`]+)"),
        ],
        'PATH=$here/es02/bin:$PATH; cd ca; eval "$run"\n'
        "mkdir new; cd new; python3 -m zipfile -e ../node.zip .; cp */*.crt $here/es02/config/node.crt\n"
        "cp */*.key $here/es02/config/node.key",
        doctor=["es01", "es02"],
    ),
    Case(
        "server-only", "a certificate that may only be a server's",
        "sign ca es02 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth'; cp ca/es02.crt es02/config/node.crt\n"
        "cp ca/es02.key es02/config/node.key",
        [
            ("es01 log", words("cannot be used for a TLS client")),
            ("es02 log", words("as a TLS client (where this node dials others)")),
            ("es02 doctor", words("both serverAuth and clientAuth")),
            ("es01 doctor", words("would be refused where it dials this node")),
        ],
        "issue es02", doctor=["es01", "es02"], tools=("openssl",),
    ),
    Case(
        "plaintext", "transport TLS is off on one node",
        f"setting es02 {SSL}.enabled false; for k in key certificate certificate_authorities; do remove es02 {SSL}.$k; done",
        [
            ("es01 log", words("received plaintext traffic on an encrypted channel")),
            ("es02 log", words("this node's transport TLS is off")),
            ("es02 doctor", words("TLS is off here, and the other side speaks TLS...set [" + SSL + ".enabled] to [true]")),
        ],
        f"setting es02 {SSL}.enabled true; setting es02 {SSL}.key node.key; setting es02 {SSL}.certificate node.crt\n"
        f"setting es02 {SSL}.certificate_authorities ca.crt",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "no-version-in-common", "one node speaks TLS 1.2 only, the other 1.3 only",
        f"setting es01 {SSL}.supported_protocols '[TLSv1.3]'; setting es02 {SSL}.supported_protocols '[TLSv1.2]'",
        [
            ("es01 log", words("it offers [TLSv1.2], this side has [TLSv1.3]")),
            ("es02 log", words("protocol_version...this side offers [TLSv1.2]")),
            ("es02 doctor", words(SSL + ".supported_protocols")),
        ],
        f"everywhere remove {SSL}.supported_protocols",
        restart=["es01", "es02"], doctor=["es01", "es02"],
    ),
    Case(
        "no-cipher-in-common", "two lists of cipher suites that do not meet",
        f"everywhere setting {SSL}.supported_protocols '[TLSv1.2]'\n"
        f"setting es01 {SSL}.cipher_suites '[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]'\n"
        f"setting es02 {SSL}.cipher_suites '[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]'",
        [
            ("es01 log", words("it offers [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], this side has "
                               "[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]")),
            ("es02 log", words("this side offers [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]")),
            ("es02 doctor", words(SSL + ".cipher_suites")),
        ],
        f"everywhere remove {SSL}.cipher_suites",
        restart=["es01", "es02"], doctor=["es01", "es02"],
    ),
    Case(
        "revoked", "a certificate that a revocation list names",
        ": > ca/index.txt; echo 01 > ca/crlnumber\n"
        "printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=ca/index.txt\\ncrlnumber=ca/crlnumber\\ndefault_md=sha256\\n"
        "default_crl_days=30\\n' > ca/crl.cnf\n"
        "openssl ca -config ca/crl.cnf -cert ca/ca.crt -keyfile ca/ca.key -revoke es02/config/node.crt 2> /dev/null\n"
        "openssl ca -config ca/crl.cnf -cert ca/ca.crt -keyfile ca/ca.key -gencrl -out es01/config/list.crl 2> /dev/null\n"
        f"setting es01 {SSL}.certificate_revocation_lists list.crl",
        [
            ("es01 log", words("is revoked: a file of [" + SSL + ".certificate_revocation_lists] names it")),
            ("es02 log", words("the certificate shown by this side was revoked")),
            ("es02 doctor", words("was revoked")),
        ],
        "issue es02", doctor=["es02"], tools=("openssl",),
    ),
]

FILES = [
    Case(
        "key-of-another", "the key belongs to another certificate",
        "cp es02/config/node.key es02.key; issue es02; mv es02.key es02/config/node.key",
        [
            ("es02 log", words("does not match the certificate [CN=es02]...put the key and the certificate that were made together in place")),
            ("es02 doctor", words("put the key and the certificate that were made together in place")),
        ],
        "issue es02", restart=["es02"], doctor=["es02"],
    ),
    Case(
        "file-missing", "a file that is not there",
        f"setting es02 {SSL}.certificate nod.crt",
        [
            ("es02 log", words("nod.crt] because the file does not exist")),
            ("es02 doctor", words("put the file there, or correct the setting")),
        ],
        f"setting es02 {SSL}.certificate node.crt", restart=["es02"], doctor=["es02"],
    ),
    Case(
        "wrong-password", "the stored password is not the file's",
        "p12 es02; secret es02 " + SSL + ".keystore.secure_password wrong",
        [
            ("es02 log", words("this is usually caused by an incorrect password (a password was provided); store the password "
                               "of the file: `") + "(?P<run>elasticsearch-keystore add [^`]+)"),
            ("es02 doctor", words("store the password of the file: `elasticsearch-keystore add")),
        ],
        'cd es02; PATH=bin:$PATH; printf "y\\nsecret\\n" > ../typed; eval "${run/ add / add --force --stdin }" < <(echo secret)',
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "no-password", "a keystore file with a password that nobody stored",
        "p12 es02",
        [
            ("es02 log", words("incorrect password (no password was provided); store the password of the file: `")
             + "(?P<run>elasticsearch-keystore add [^`]+)"),
            ("es02 doctor", words("store the password of the file: `elasticsearch-keystore add")),
        ],
        'cd es02; PATH=bin:$PATH; eval "${run/ add / add --stdin }" < <(echo secret)',
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "truststore-of-key", "a truststore that trusts nothing: the PKCS#12 file of the CA",
        "\"$ringwall\" certutil ca --silent --pass '' --out es02/config/elastic-stack-ca.p12\n"
        "\"$ringwall\" certutil cert --silent --ca es02/config/elastic-stack-ca.p12 --ca-pass '' --ip 127.0.0.1 --pass '' "
        "--out es02/config/node.p12; cp es02/config/node.p12 es01/config/\n"
        f"for node in $nodes; do name_p12 $node; remove $node {SSL}.certificate_authorities; done\n"
        f"setting es01 {SSL}.truststore.path node.p12\n"
        f"setting es02 {SSL}.truststore.path elastic-stack-ca.p12",
        [
            ("es02 log", words("does not contain any trusted certificate entries")),
            ("es02 log", words("name the keystore of this node, [") + r"(?P<own>[^\]]+)" + words("], in [" + SSL + ".truststore.path]")),
            ("es02 log", words("write the certificate of the CA into a PEM file, `") + "(?P<run>openssl [^`]+)"),
            ("es02 doctor", words("name the keystore of this node")),
        ],
        f"setsid sh -c \"$run\" < <(echo); openssl x509 -noout -in es02/config/elastic-stack-ca.crt; "
        f"setting es02 {SSL}.truststore.path \"$own\"",
        restart=["es02"], doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "base64-p12", "a base64 copy of a PKCS#12 file",
        "p12 es02 ''; base64 es02/config/node.p12 > es02/config/copy.p12; "
        f"setting es02 {SSL}.keystore.path copy.p12",
        [
            ("es02 log", words("copy.p12] is a base64 copy of a PKCS#12 file: decode it with `") + "(?P<run>base64 [^`]+)"),
            ("es02 doctor", words("is a base64 copy of a PKCS#12 file")),
        ],
        f'eval "$run"; setting es02 {SSL}.keystore.path copy-decoded.p12', restart=["es02"], doctor=["es02"],
    ),
    Case(
        "jks", "a keystore of the JKS format, which still works, with a key password that nobody stored",
        "p12 es02; cd es02/config; keytool -importkeystore -srckeystore node.p12 -srcstorepass secret -destkeystore node.jks \\\n"
        "  -deststoretype JKS -deststorepass secret -destkeypass another -srcalias es02 2> /dev/null; cd ../..\n"
        f"setting es02 {SSL}.keystore.path node.jks; secret es02 {SSL}.keystore.secure_password secret",
        [
            ("es02 log", words("cannot open the private key in [...]: this is usually caused by an incorrect key-password")),
            ("es02 log", words("store the password of the key: `") + "(?P<run>elasticsearch-keystore add [^`]+)"),
            ("es02 doctor", words("store the password of the key: `elasticsearch-keystore add")),
        ],
        'cd es02; PATH=bin:$PATH; eval "${run/ add / add --stdin }" < <(echo another)',
        restart=["es02"], doctor=["es02"], tools=("keytool",),
    ),
    Case(
        "jks-odd", "a keystore of the JKS format; the node starts, and says how to convert it",
        "p12 es02; cd es02/config; keytool -importkeystore -srckeystore node.p12 -srcstorepass secret -destkeystore node.jks \\\n"
        "  -deststoretype JKS -deststorepass secret -srcalias es02 2> /dev/null; cd ../..\n"
        f"setting es02 {SSL}.keystore.path node.jks; secret es02 {SSL}.keystore.secure_password secret",
        [
            ("es02 log", words("is of the JKS format, which protects its key poorly; convert it: `")
             + r"(?P<run>keytool [^`]*-destkeystore (?P<file>\S+) [^`]*)"),
            ("es02 doctor", words("is of the JKS format")),
        ],
        f'eval "$run" < <(printf "secret\\nsecret\\nsecret\\n"); setting es02 {SSL}.keystore.path "$file"',
        restart=["es02"], tools=("keytool",), gone=[("es02 doctor", words("JKS"))],
    ),
    Case(
        "der-for-key", "a DER certificate where a keystore belongs",
        f"openssl x509 -in es02/config/node.crt -outform der -out es02/config/node.cer; setting es02 {SSL}.keystore.path node.cer\n"
        f"remove es02 {SSL}.key; remove es02 {SSL}.certificate",
        [
            ("es02 log", words("node.cer] is not a PKCS#12 file: it holds certificates, without a private key; `")
             + "(?P<run>elasticsearch-certutil inspect [^`]+)"),
            ("es02 doctor", words("it holds certificates, without a private key")),
        ],
        f'PATH=$here/es02/bin:$PATH; eval "$run" | grep -q CN=es02\n'
        f"remove es02 {SSL}.keystore.path; setting es02 {SSL}.certificate node.cer; setting es02 {SSL}.key node.key\n"
        "openssl crl2pkcs7 -nocrl -certfile ca/ca.crt -outform der -out es02/config/ca.p7b\n"
        f"setting es02 {SSL}.certificate_authorities ca.p7b",
        restart=["es02"], doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "unreadable", "the user of the node may not read its key; doctor is run by root",
        "chown -R nobody es01; chown root:root es01/config/node.key; chmod 600 es01/config/node.key",
        [
            ("es01 log", words("not permitted to read the PEM private key file [")),
            ("es01 doctor", words("the user [nobody], who owns [...], may not read [") + r".*node\.key\]"
             + ".*`(?P<run>chown [^`]+)`"),
        ],
        'eval "$run"', restart=["es01"], doctor=["es01"], user="nobody",
    ),
    Case(
        "directory-shut", "the user of the node may not enter its configuration directory; doctor is run by root",
        "chown -R nobody es01; chown root:root es01/config; chmod 700 es01/config",
        [
            ("es01 doctor", words("the user [nobody], who owns [...], may not enter [") + r".*/config\].*`(?P<run>chmod [^`]+)`"),
        ],
        'eval "$run"; chmod o+w es01/config', restart=["es01"], doctor=["es01"], user="nobody",
    ),
    Case(
        "key-open", "a private key that every user may read",
        "chmod 644 es01/config/node.key",
        [("es01 doctor", words("may be read or changed by every user of this machine (mode 644)") + ".*?`(?P<run>chmod [^`]+)`")],
        'eval "$run"', nodes=("es01",), gone=[("es01 doctor", words("node.key] may be read or changed by every user"))],
    ),
    Case(
        "orphan-secret", "a password in the keystore for TLS that nobody turned on",
        f"for node in $nodes; do for key in enabled key certificate certificate_authorities; do remove $node {SSL}.$key; done; done\n"
        f"secret es02 {SSL}.keystore.secure_password secret",
        [
            ("es02 log", words("is not set, but the following settings have been configured in the elasticsearch keystore")
             + ".*?`(?P<run>elasticsearch-keystore remove [^`]+)`"),
            ("es02 doctor", words("`elasticsearch-keystore remove ")),
        ],
        'cd es02; PATH=bin:$PATH; eval "$run"', restart=["es02"], doctor=["es02"],
    ),
    Case(
        "foreign-address", "an address that is not of this machine",
        "setting es02 transport.host 192.0.2.7",
        [
            ("es02 doctor", words("[192.0.2.7] is no address of this machine: the node cannot listen there...bind an address that `")
             + "(?P<run>ip address)"),
        ],
        "eval \"$run\" | grep -q 127.0.0.1; remove es02 transport.host", restart=["es02"], doctor=["es02"], tools=("ip",),
    ),
    Case(
        "weak-key-encryption", "a private key in an encryption that is not read",
        f"openssl pkcs8 -topk8 -v1 PBE-SHA1-RC2-40 -provider legacy -provider default -in es02/config/node.key \\\n"
        "  -passout pass:secret -out old.key && mv old.key es02/config/node.key\n"
        f"secret es02 {SSL}.secure_key_passphrase secret",
        [
            ("es02 log", words("which is not supported; re-encrypt it: `") + r"(?P<run>openssl [^`]*-out (?P<file>[^`\s]+))"),
            ("es02 doctor", words("re-encrypt it: `openssl pkcs8")),
        ],
        'setsid sh -c "$run -passin pass:secret -passout pass:secret -provider legacy -provider default"\n'
        f'setting es02 {SSL}.key "$file"', restart=["es02"], doctor=["es02"], tools=("openssl",),
    ),
    Case(
        "unknown-setting", "a setting with a misspelled name",
        "setting es02 discovery.seed_host '[\"127.0.0.1\"]'",
        [
            ("es02 log", words("unknown setting [discovery.seed_host]") + ".*" + words("did you mean [discovery.seed_hosts]")),
            ("es02 doctor", words("did you mean [discovery.seed_hosts]")),
        ],
        "remove es02 discovery.seed_host", restart=["es02"], doctor=["es02"],
    ),
    Case(
        "secret-in-yml", "a password in elasticsearch.yml",
        f"p12 es02; setting es02 {SSL}.keystore.secure_password secret",
        [
            ("es02 log", words("`") + f"(?P<run>elasticsearch-keystore add {SSL}.keystore.secure_password)`"),
            ("es02 doctor", words(f"elasticsearch-keystore add {SSL}.keystore.secure_password")),
        ],
        f'cd es02; PATH=bin:$PATH; eval "${{run/ add / add --stdin }}" < <(echo secret); cd ..; '
        f"remove es02 {SSL}.keystore.secure_password",
        restart=["es02"], doctor=["es02"],
    ),
    Case(
        "ip-filter", "an IP filter that shuts the other node out",
        "setting es01 xpack.security.transport.filter.deny 127.0.0.1; "
        "setting es01 xpack.security.filter.always_allow_bound_address false; "
        "setting es01 discovery.seed_hosts '[]'",
        [
            ("es01 log", words("127.0.0.1") + ".*" + words("xpack.security.transport.filter")),
            ("es02 log", words("closed the connection")),
            ("es02 doctor", words("an IP filter there ([xpack.security.transport.filter]) closes, too")),
        ],
        "remove es01 xpack.security.transport.filter.deny; remove es01 xpack.security.filter.always_allow_bound_address", restart=["es01"], doctor=["es02"],
    ),
]

WEB = [
    Case(
        "https-client", "a client that does not trust the CA of HTTPS",
        "authority web --ca-dn CN=Web; web_certificate es01 web; cat web/ca.crt >> es01/config/http.crt",
        [
            ("es01 log", words("http client did not trust this server's certificate...let the client trust the CA [CN=Web]: its "
                               "certificate has the SHA-256 fingerprint [") + "(?P<fingerprint>[0-9a-f]{64})"
             + words("], which the CA file of the client must have, too")),
        ],
        'test "$(openssl x509 -in ca/ca.crt -noout -fingerprint -sha256 | tr -d : | tr A-F a-f)" != '
        '"sha256 fingerprint=$fingerprint"\n'
        'test "$(openssl x509 -in web/ca.crt -noout -fingerprint -sha256 | tr -d : | tr A-Z a-z)" = '
        '"sha256 fingerprint=$fingerprint"\n'
        'curl -sS --cacert web/ca.crt -u "elastic:$password" "https://127.0.0.1:$es01_http/" | grep -q cluster_uuid',
        act='! curl -sS --cacert ca/ca.crt "https://127.0.0.1:$es01_http/"',
        nodes=("es01",), tools=("curl", "openssl"),
    ),
    Case(
        "https-leaf-alone", "an HTTPS certificate without the one of its CA",
        "authority web --ca-dn CN=Web; web_certificate es01 web",
        [
            ("es01 log", words("holds the certificate of this node alone, without the one of its issuer [CN=Web]...append the "
                               "certificate of [CN=Web] to [") + r"(?P<file>[^\]]+)"),
            ("es01 doctor", words("holds the certificate of this node alone...append the certificate of [CN=Web] to [")),
        ],
        'cat web/ca.crt >> "$file"', nodes=("es01",), gone=[("es01 doctor", words("of this node alone"))],
    ),
]

CASES = [*DISCOVERY, *TRUST, *FILES, *WEB]
