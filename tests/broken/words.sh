# What the table of broken clusters is written in. Read by each shell that run.py starts, in the directory of a case:
# ca/ and the home of each node. $ringwall is the program, $password that of elastic, $nodes the names of all nodes,
# $es01_http and $es01_transport the ports of es01.

# setting NODE KEY VALUE: in its elasticsearch.yml, in the place of what was said of the key.
setting() {
  remove "$1" "$2"
  printf '%s: %s\n' "$2" "$3" >> "$1/config/elasticsearch.yml"
}

# remove NODE KEY
remove() { sed -i "/^${2//./\\.}:/d" "$1/config/elasticsearch.yml"; }

# everywhere COMMAND NODE-LESS-ARGUMENTS: for each node.
everywhere() {
  local command=$1 node
  shift
  for node in $nodes; do "$command" "$node" "$@"; done
}

# secret NODE KEY VALUE: into its keystore.
secret() { printf '%s\n' "$3" | "$1/bin/elasticsearch-keystore" add --stdin --force "$2" > /dev/null; }

# authority DIR [certutil ca OPTION ...]: DIR/ca.crt and DIR/ca.key.
authority() {
  local dir=$1
  shift
  "$ringwall" certutil ca --silent --pem --key-type ec-p256 --out "$dir.zip" "$@"
  rm -rf "$dir" && python3 -m zipfile -e "$dir.zip" "$dir.new" && mv "$dir.new/ca" "$dir" && rm -r "$dir.new" "$dir.zip"
}

# issue NODE [AUTHORITY [certutil cert OPTION ...]]: config/node.crt and node.key, for 127.0.0.1 if no name is given.
issue() {
  local node=$1 ca=${2:-ca}
  shift; [ $# -eq 0 ] || shift
  [ $# -gt 0 ] || set -- --ip 127.0.0.1 --dns localhost
  "$ringwall" certutil cert --silent --pem --key-type ec-p256 --ca-cert "$ca/ca.crt" --ca-key "$ca/ca.key" \
    --name "$node" "$@" --out "$node.zip"
  python3 -m zipfile -e "$node.zip" "$node.new"
  mv "$node.new/$node/$node.key" "$node/config/node.key"
  mv "$node.new/$node/$node.crt" "$node/config/node.crt"
  chmod 660 "$node/config/node.key"
  rm -r "$node.new" "$node.zip"
}

# sign DIR NAME EXTENSIONS [x509 OPTION ...]: with openssl, DIR/NAME.crt and DIR/NAME.key from DIR/ca.crt, with lines of an
# extension section.
sign() {
  local dir=$1 name=$2 extensions=$3
  shift 3
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
    -keyout "$dir/$name.key" -out "$dir/$name.csr" 2> /dev/null
  printf '%b\n' "$extensions" > "$dir/$name.ext"
  openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 30 \
    -extfile "$dir/$name.ext" -out "$dir/$name.crt" "$@" 2> /dev/null
}

# dated DIR NAME START END: as sign, valid between two moments such as 20200101000000Z.
dated() {
  local dir=$1 name=$2
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
    -keyout "$dir/$name.key" -out "$dir/$name.csr" 2> /dev/null
  : > "$dir/index.txt"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n
[p]\ncommonName=supplied\n[x]\nsubjectAltName=IP:127.0.0.1\n' "$dir" "$dir" > "$dir/openssl.cnf"
  openssl ca -batch -notext -config "$dir/openssl.cnf" -extensions x -cert "$dir/ca.crt" -keyfile "$dir/ca.key" \
    -startdate "$3" -enddate "$4" -in "$dir/$name.csr" -out "$dir/$name.crt" 2> /dev/null
}

# web_certificate NODE AUTHORITY: HTTPS with config/http.crt, the certificate alone, and http.key.
web_certificate() {
  local ssl=xpack.security.http.ssl
  "$ringwall" certutil cert --silent --pem --key-type ec-p256 --ca-cert "$2/ca.crt" --ca-key "$2/ca.key" --name http \
    --ip 127.0.0.1 --dns localhost --out http.zip
  python3 -m zipfile -e http.zip http.new
  sed '/END CERTIFICATE/q' http.new/http/http.crt > "$1/config/http.crt"
  mv http.new/http/http.key "$1/config/http.key"
  chmod 660 "$1/config/http.key"
  rm -r http.new http.zip
  setting "$1" $ssl.enabled true
  setting "$1" $ssl.certificate http.crt
  setting "$1" $ssl.key http.key
}

# p12 NODE [PASSWORD]: its key, certificate and CA as config/node.p12, in the place of the PEM files.
p12() {
  local password=${2-secret}
  openssl pkcs12 -export -inkey "$1/config/node.key" -in "$1/config/node.crt" -certfile ca/ca.crt -name "$1" \
    -passout "pass:$password" -out "$1/config/node.p12"
  name_p12 "$1"
}

# name_p12 NODE: config/node.p12 as its keystore.
name_p12() {
  local ssl=xpack.security.transport.ssl
  remove "$1" $ssl.key
  remove "$1" $ssl.certificate
  setting "$1" $ssl.keystore.path node.p12
}

# home NODE: as an operator would lay it out, with a certificate of ca/.
home() {
  local node=$1 transport=${1}_transport http=${1}_http other seeds=
  "$ringwall" init "$node" > /dev/null
  for other in $nodes; do other=${other}_transport; seeds="$seeds${seeds:+, }\"127.0.0.1:${!other}\""; done
  cat > "$node/config/elasticsearch.yml" <<YML
cluster.name: broken
node.name: $node
http.port: ${!http}
transport.port: ${!transport}
discovery.seed_hosts: [$seeds]
cluster.initial_master_nodes: [es01]
xpack.security.transport.ssl.enabled: true
xpack.security.transport.ssl.key: node.key
xpack.security.transport.ssl.certificate: node.crt
xpack.security.transport.ssl.certificate_authorities: ca.crt
xpack.security.http.ssl.enabled: false
resource.reload.interval.high: 200ms
discovery.cluster_formation_warning_timeout: 1s
YML
  "$node/bin/elasticsearch-keystore" create > /dev/null
  secret "$node" bootstrap.password "$password"
  issue "$node"
  cp ca/ca.crt "$node/config/"
}

# as_member NODE COMMAND ...: runs the node until it is a member and the command is done, and stops it.
as_member() {
  local node=$1 http=${1}_http process
  shift
  "$node/bin/elasticsearch" >> "$node.out" 2>&1 &
  process=$!
  until curl -sf -u "elastic:$password" "http://127.0.0.1:${!http}/_cat/nodes?h=name" | grep -q "^$node *$"; do sleep 0.1; done
  "$@"
  kill $process
  wait $process || true
}

# some_changes: of the cluster state, which every node has then acknowledged.
some_changes() {
  local value
  for value in primaries new_primaries all; do
    curl -sf -u "elastic:$password" -X PUT "http://127.0.0.1:$es01_http/_cluster/settings" -H 'Content-Type: application/json' \
      -d "{\"persistent\": {\"cluster.routing.allocation.enable\": \"$value\"}}"
  done
}

# restore_older NODE: puts its data path back to what it was before the last changes.
restore_older() {
  as_member "$1" some_changes
  cp -a "$1/data" "$1.backup"
  as_member "$1" some_changes
  rm -r "$1/data"
  mv "$1.backup" "$1/data"
}

# lay_out: ca/ and the homes of all nodes; nothing is broken yet.
lay_out() {
  authority ca
  everywhere home
}
