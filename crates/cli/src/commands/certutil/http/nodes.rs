//! The questions about the nodes: one certificate for all, or one for each. Source: Elasticsearch reference,
//! "elasticsearch-certutil" (`http`).

use ringwall_pki::instances::is_filename;
use std::net::IpAddr;

use ringwall_pki::{DistinguishedName, KeySpec, KeyUsage};

use super::questions;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// What one certificate is to be for.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Name of its directory; `None` if it is for all nodes.
    pub(super) name: Option<String>,
    pub(super) hosts: Vec<String>,
    pub(super) ips: Vec<IpAddr>,
    /// Names the files of a signing request.
    pub(super) key_name: String,
    pub(super) dn: DistinguishedName,
    pub(super) key: KeySpec,
    pub(super) key_usage: Vec<KeyUsage>,
}

/// Asks which certificates to make: at least one.
pub(super) fn ask(terminal: &mut Terminal) -> Result<Vec<Node>, CommandError> {
    questions::header(
        "Do you wish to generate one certificate per node?",
        terminal,
    );
    terminal.out(PER_NODE);
    if !terminal.confirm("Generate a certificate per node?", false)? {
        return Ok(vec![Node::ask(None, terminal)?]);
    }
    let mut nodes: Vec<Node> = Vec::new();
    loop {
        let number = nodes.len() + 1;
        questions::header(&format!("What is the name of node #{number}?"), terminal);
        terminal.out(NODE_NAME);
        let prompt = format!("node #{number} name: ");
        let name = questions::valid(&prompt, terminal, |name| {
            let is_name = |node: &Node| node.name.as_deref() == Some(name);
            match is_filename(name) {
                _ if nodes.iter().any(is_name) => {
                    Err(format!("There is a node named '{name}' already"))
                }
                true => Ok(name.to_owned()),
                false => Err(format!(
                    "'{name}' is not a valid filename, as the name of a node must be here"
                )),
            }
        })?;
        nodes.push(Node::ask(Some(name), terminal)?);
        if !terminal.confirm("Generate additional certificates?", true)? {
            return Ok(nodes);
        }
    }
}

impl Node {
    fn ask(name: Option<String>, terminal: &mut Terminal) -> Result<Self, CommandError> {
        let which = match &name {
            Some(name) => format!("to connect to {name}"),
            None => "to connect to your nodes".to_owned(),
        };
        questions::header(&format!("Which hostnames will be used {which}?"), terminal);
        terminal.out(HOSTS);
        let hosts = list("hostname", host, terminal)?;
        questions::header(
            &format!("Which IP addresses will be used {which}?"),
            terminal,
        );
        terminal.out(ADDRESSES);
        let ips = list("IP address", address, terminal)?;
        let key_name = name.clone().unwrap_or_else(|| key_name(&hosts));
        let mut node = Self {
            dn: subject(&key_name),
            name,
            hosts,
            ips,
            key_name,
            key: KeySpec::default(),
            key_usage: vec![KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment],
        };
        questions::header("Other certificate options", terminal);
        terminal.out(OPTIONS);
        while questions::wants_change(&node.options(), terminal)? {
            node.change(terminal)?;
        }
        Ok(node)
    }

    fn options(&self) -> [(&'static str, String); 4] {
        [
            ("Key Name", self.key_name.clone()),
            ("Subject DN", self.dn.to_string()),
            ("Key Size", questions::show_key_size(&self.key)),
            ("Key Usage", questions::show_key_usage(&self.key_usage)),
        ]
    }

    fn change(&mut self, terminal: &mut Terminal) -> Result<(), CommandError> {
        self.key_name = questions::change(
            "Key Name",
            &self.key_name,
            Clone::clone,
            terminal,
            |answer| match is_filename(answer) {
                true => Ok(answer.to_owned()),
                false => Err(format!("'{answer}' is not a valid filename")),
            },
        )?;
        self.dn = questions::change(
            "Subject DN",
            &self.dn,
            ToString::to_string,
            terminal,
            questions::dn,
        )?;
        self.key = questions::change(
            "Key Size",
            &self.key,
            questions::show_key_size,
            terminal,
            questions::key_size,
        )?;
        self.key_usage = questions::change(
            "Key Usage",
            &self.key_usage,
            |usages| questions::show_key_usage(usages),
            terminal,
            questions::key_usage,
        )?;
        Ok(())
    }
}

/// Asks for items, one a line until an empty one, and then whether they are right.
fn list<T: ToString + PartialEq>(
    what: &str,
    read: impl Fn(&str) -> Result<T, String>,
    terminal: &mut Terminal,
) -> Result<Vec<T>, CommandError> {
    loop {
        let mut items = Vec::new();
        loop {
            let answer = terminal.prompt("")?;
            match answer.trim() {
                "" => break,
                answer => match read(answer) {
                    Ok(item) if !items.contains(&item) => items.push(item),
                    Ok(_) => {}
                    Err(message) => terminal.err(message),
                },
            }
        }
        if items.is_empty() {
            terminal.result(format!("You did not enter any {what}."));
            terminal.result(format!(
                "Clients that verify names refuse to connect by {what}.\n"
            ));
        } else {
            terminal.result(format!("You entered, as {what}:\n"));
            for item in &items {
                terminal.result(format!(" - {}", item.to_string()));
            }
            terminal.result("");
        }
        if terminal.confirm("Is this correct", true)? {
            return Ok(items);
        }
    }
}

fn host(answer: &str) -> Result<String, String> {
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte);
    if answer.parse::<IpAddr>().is_ok() {
        return Err(format!(
            "'{answer}' is an IP address, which has its own question: left out here"
        ));
    }
    match answer.bytes().all(is_character) {
        true => Ok(answer.to_owned()),
        false => Err(format!("'{answer}' is not a valid DNS name: left out")),
    }
}

fn address(answer: &str) -> Result<IpAddr, String> {
    answer
        .parse()
        .map_err(|_| format!("'{answer}' is not a valid IP address: left out"))
}

/// Returns the name of a key for all nodes: the first host without a wildcard, else one without its
/// wildcard. Source: Elasticsearch reference, "elasticsearch-certutil" (`http`).
fn key_name(hosts: &[String]) -> String {
    let whole = hosts.iter().find(|host| !host.contains('*')).cloned();
    let rest = || hosts.first().map(|host| host.replace("*.", ""));
    whole
        .or_else(rest)
        .filter(|name| is_filename(name))
        .unwrap_or_else(|| DEFAULT_KEY_NAME.to_owned())
}

/// Returns `CN=es,DC=example,DC=com` for `es.example.com`. Source: Elasticsearch reference, "elasticsearch-certutil"
/// (`http`).
fn subject(name: &str) -> DistinguishedName {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let escaped: Vec<String> = labels.map(escape).collect();
    let text = format!("CN={}", escaped.join(",DC="));
    // A name that does not split stands as a whole.
    DistinguishedName::parse(&text).unwrap_or_else(|_| DistinguishedName::common_name(name))
}

fn escape(label: &str) -> String {
    let mut text = String::new();
    for symbol in label.chars() {
        if ",;+=\"\\<># ".contains(symbol) {
            text.push('\\');
        }
        text.push(symbol);
    }
    text
}

const DEFAULT_KEY_NAME: &str = "elasticsearch";

const PER_NODE: &str = "\
One certificate can serve all nodes. With one for each node, a node that is lost or broken into can
be replaced without new certificates for the others.
";

const NODE_NAME: &str = "\
It names the directory of the node in the zip file, and the key. Any name will do; the one in the
setting node.name is best.
";

const HOSTS: &str = "\
Clients that connect by a name find it in the certificate, or refuse. Enter all names: of the
nodes, of load balancers, and localhost if a client runs beside a node. A wildcard such as
*.example.com stands for any one name in front.

One a line; an empty line ends the list.
";

const ADDRESSES: &str = "\
Clients that connect by an IP address find it in the certificate, or refuse. If all your clients
connect by names, enter none.

One a line; an empty line ends the list.
";

const OPTIONS: &str = "\
These options are right for most clusters. The key name names the files of a signing request; in
http.p12 the entry is always called http.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_named_after_a_host() {
        let named = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            key_name(&hosts)
        };
        assert_eq!(named(&["*.a.example", "b.example"]), "b.example");
        assert_eq!(named(&["*.a.example", "*.b.example"]), "a.example");
        assert_eq!(named(&["*"]), "elasticsearch");
        assert_eq!(named(&[]), "elasticsearch");
    }

    #[test]
    fn the_subject_has_the_domain() {
        for (name, dn) in [
            ("es.example.com", "CN=es,DC=example,DC=com"),
            ("node1", "CN=node1"),
            ("a..b.", "CN=a,DC=b"),
            ("a,b=c", "CN=a\\,b=c"),
        ] {
            assert_eq!(subject(name).to_string(), dn, "{name}");
        }
    }

    #[test]
    fn a_list_is_asked_for_until_it_is_right() {
        let answers = "wrong.example\n\nn\n a.example \n10.0.0.1\nä\na.example\n\ny\n";
        let (mut terminal, output, errors) = Terminal::scripted(answers);
        let hosts = list("hostname", host, &mut terminal).unwrap();
        assert_eq!(hosts, ["a.example"]);
        assert!(output.text().contains(" - wrong.example\n"));
        assert!(errors.text().contains("'10.0.0.1' is an IP address"));
        assert!(errors.text().contains("'ä' is not a valid DNS name"));
    }

    #[test]
    fn nodes_have_names_that_can_be_directories() {
        let one = "a.example\n\n\n\n\n\n";
        let answers = format!("y\na/b\nn1\n{one}y\nn1\nn2\n{one}n\n");
        let (mut terminal, _, errors) = Terminal::scripted(&answers);
        let nodes = ask(&mut terminal).unwrap();
        let names: Vec<_> = nodes.iter().map(|node| node.name.as_deref()).collect();
        assert_eq!(names, [Some("n1"), Some("n2")]);
        assert_eq!(nodes[1].dn.to_string(), "CN=n2");
        assert!(errors.text().contains("'a/b' is not a valid filename"));
        assert!(errors.text().contains("There is a node named 'n1' already"));
    }
}
