//! What is in the zip file, and where. Source: Elasticsearch reference, "elasticsearch-certutil".

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringwall_base::SecretString;
use zeroize::Zeroizing;

use crate::commands::certutil::output::Bundle;
use crate::error::CommandError;

/// All that was made.
pub(super) struct Contents {
    /// Each node with the name of its directory.
    pub(super) nodes: Vec<(Option<String>, NodeFiles)>,
    /// The private keys of the nodes are encrypted.
    pub(super) has_password: bool,
    /// The PKCS#12 file of a new CA.
    pub(super) new_authority: Option<Zeroizing<Vec<u8>>>,
    /// What Kibana and other clients are to trust, as PEM; not yet known of a signing request.
    pub(super) trusted: Option<String>,
}

/// The files of one node.
pub(super) enum NodeFiles {
    Keystore(Zeroizing<Vec<u8>>),
    Request {
        name: String,
        request: String,
        key: SecretString,
    },
}

/// Returns the content of the zip file.
pub(super) fn zip(contents: &Contents) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let mut bundle = Bundle::new();
    bundle.directory("elasticsearch")?;
    for (name, files) in &contents.nodes {
        let directory = match name {
            // One certificate lies at the top, whatever its node is called.
            Some(name) if contents.nodes.len() > 1 => {
                let directory = format!("elasticsearch/{name}");
                bundle.directory(&directory)?;
                directory
            }
            _ => "elasticsearch".to_owned(),
        };
        add_node(&mut bundle, &directory, files, contents.has_password)?;
    }
    if let Some(authority) = &contents.new_authority {
        bundle.directory("ca")?;
        bundle.file("ca/README.txt", page(CA_README).as_bytes())?;
        bundle.file("ca/ca.p12", authority)?;
    }
    bundle.directory("kibana")?;
    let readme = match &contents.trusted {
        Some(_) => KIBANA_README,
        None => KIBANA_README_LATER,
    };
    bundle.file("kibana/README.txt", page(readme).as_bytes())?;
    if let Some(trusted) = &contents.trusted {
        bundle.file("kibana/elasticsearch-ca.pem", trusted.as_bytes())?;
    }
    bundle.file("kibana/sample-kibana.yml", SAMPLE_KIBANA.as_bytes())?;
    bundle.finish()
}

fn add_node(
    bundle: &mut Bundle,
    directory: &str,
    files: &NodeFiles,
    has_password: bool,
) -> Result<(), CommandError> {
    let mut add = |name: &str, content: &[u8]| bundle.file(&format!("{directory}/{name}"), content);
    match files {
        NodeFiles::Keystore(keystore) => {
            let (step, comment) = match has_password {
                true => (KEYSTORE_PASSWORD_STEP, SAMPLE_KEYSTORE_PASSWORD),
                false => ("", ""),
            };
            let readme = format!("{KEYSTORE_README}{step}{LAST_STEP}");
            add("README.txt", page(&readme).as_bytes())?;
            add("http.p12", keystore)?;
            let sample = format!("{SAMPLE_KEYSTORE}{comment}");
            add("sample-elasticsearch.yml", sample.as_bytes())
        }
        NodeFiles::Request { name, request, key } => {
            let (step, comment) = match has_password {
                true => (KEY_PASSWORD_STEP, SAMPLE_KEY_PASSWORD),
                false => ("", ""),
            };
            let named = |text: &str| text.replace("{name}", name);
            let readme = format!("{REQUEST_README}{step}{LAST_STEP}");
            add("README.txt", page(&named(&readme)).as_bytes())?;
            add(&format!("http-{name}.csr"), request.as_bytes())?;
            add(&format!("http-{name}.key"), key.expose().as_bytes())?;
            let sample = format!("{SAMPLE_REQUEST}{comment}{SAMPLE_REQUEST_CA}");
            add("sample-elasticsearch.yml", named(&sample).as_bytes())
        }
    }
}

/// Adds who made a text and when.
fn page(text: &str) -> String {
    let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
    let version = ringwall_base::VERSION;
    format!("{text}\nMade on {today} by certutil http of ringwall {version}.\n")
}

const KEYSTORE_README: &str = "\
HTTPS FOR A NODE
================

http.p12                  the private key of the node, its certificate, and the certificate of the
                          CA that signed it. Keep it secret.
sample-elasticsearch.yml  the settings that make the node use it

1. Copy http.p12 into the configuration directory of the node (the one with elasticsearch.yml),
   readable by the user of the node and by nobody else.

2. Copy the settings of sample-elasticsearch.yml into the elasticsearch.yml of the node.
";

const KEYSTORE_PASSWORD_STEP: &str = "
*  The file has a password. Tell it to the node:

     elasticsearch-keystore add xpack.security.http.ssl.keystore.secure_password
";

const REQUEST_README: &str = "\
HTTPS FOR A NODE, TO BE SIGNED
==============================

http-{name}.csr  the signing request, for your certificate authority. No secret.
http-{name}.key  the private key of the node. Keep it secret: your CA does not need it.
sample-elasticsearch.yml
    the settings that make the node use the key and the certificate

1. Send http-{name}.csr to your certificate authority. It must leave the names and addresses of the
   request (subject alternative names) in the certificate. Ask for the PEM format, and for the
   certificate of the CA.

2. Save the answer as http-{name}.crt. If there are intermediate CAs, append their certificates.

3. Copy http-{name}.crt and http-{name}.key into the configuration directory of the node (the one
   with elasticsearch.yml), readable by the user of the node and by nobody else.

4. Copy the settings of sample-elasticsearch.yml into the elasticsearch.yml of the node.
";

const KEY_PASSWORD_STEP: &str = "
*  The key has a password. Tell it to the node:

     elasticsearch-keystore add xpack.security.http.ssl.secure_key_passphrase
";

const LAST_STEP: &str = "
*  Start the node anew if HTTPS was not on before. From then on clients must use https:// addresses.
";

const CA_README: &str = "\
THE CERTIFICATE AUTHORITY
=========================

ca.p12  the private key and the certificate of the new CA. It signed the certificates in the
        directory elasticsearch, and will sign the next ones.

Keep it off the nodes and off the network, and do not lose it: whoever has it can impersonate your
cluster, and without it all clients must be told to trust another CA.

Before certificates end:       elasticsearch-certutil renew --ca ca.p12 http.p12
For further nodes:             elasticsearch-certutil http, with ca.p12 as the existing CA
The certificate for clients:   kibana/elasticsearch-ca.pem beside this directory
";

const KIBANA_README: &str = "\
HTTPS FROM KIBANA
=================

elasticsearch-ca.pem  the certificate of the CA. No secret; other clients need it as well.
sample-kibana.yml     the settings that make Kibana trust it

1. Copy elasticsearch-ca.pem into the configuration directory of Kibana (the one with kibana.yml).

2. Copy the settings of sample-kibana.yml into kibana.yml, with the addresses of your nodes.

3. Start Kibana anew.
";

const KIBANA_README_LATER: &str = "\
HTTPS FROM KIBANA
=================

sample-kibana.yml  the settings that make Kibana trust the CA that signs your requests

1. Save the certificate of that CA, in the PEM format, as elasticsearch-ca.pem in the configuration
   directory of Kibana (the one with kibana.yml). Other clients need it as well.

2. Copy the settings of sample-kibana.yml into kibana.yml, with the addresses of your nodes.

3. Start Kibana anew.
";

const SAMPLE_KEYSTORE: &str = "\
# HTTPS between clients and this node, by the file http.p12 in the configuration directory.
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.keystore.path: \"http.p12\"
";

const SAMPLE_KEYSTORE_PASSWORD: &str = "
# The password of http.p12 does not belong here. Run:
#   elasticsearch-keystore add \"xpack.security.http.ssl.keystore.secure_password\"
";

const SAMPLE_REQUEST: &str = "\
# HTTPS between clients and this node, by two files in the configuration directory.
xpack.security.http.ssl.enabled: true
# What your certificate authority made of http-{name}.csr, in the PEM format.
xpack.security.http.ssl.certificate: \"http-{name}.crt\"
xpack.security.http.ssl.key: \"http-{name}.key\"
";

const SAMPLE_KEY_PASSWORD: &str = "
# The password of the key does not belong here. Run:
#   elasticsearch-keystore add \"xpack.security.http.ssl.secure_key_passphrase\"
";

const SAMPLE_REQUEST_CA: &str = "
# Only if clients are to show certificates of their own: the CA that signs those, in the PEM format.
#xpack.security.http.ssl.certificate_authorities: [ \"ca.crt\" ]
";

const SAMPLE_KIBANA: &str = "\
# The addresses of your nodes, with https:
#elasticsearch.hosts: [ \"https://localhost:9200\" ]

# The certificate of the CA, in the configuration directory of Kibana.
elasticsearch.ssl.certificateAuthorities: [ \"elasticsearch-ca.pem\" ]
";
