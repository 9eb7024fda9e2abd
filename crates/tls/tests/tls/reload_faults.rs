//! Every way in which a file goes bad under a running context, for every kind of file.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use ringwall_base::SecretString;
use ringwall_pki::p12::{self, WriteEntry};
use ringwall_pki::{IssuedCertificate, pem};
use ringwall_tls::{KeySource, ReloadOutcome, RestrictedField, SslConfig, SslContext, TrustSource};

use crate::support::{CA_NAME, Cert, Fixture, authority, check, node_params, shake};

/// A kind of file of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificate,
    Key,
    Authorities,
    Keystore,
    Truststore,
    Restrictions,
    RevocationList,
}

const KINDS: [Kind; 7] = [
    Kind::Certificate,
    Kind::Key,
    Kind::Authorities,
    Kind::Keystore,
    Kind::Truststore,
    Kind::Restrictions,
    Kind::RevocationList,
];

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Empty,
    Truncated,
    /// The beginning of what comes next.
    HalfWritten,
    /// Other bytes of the same number, with the time of modification of before.
    SameSizeAndTime,
    Deleted,
    Directory,
    DanglingLink,
    /// Mode 000. Means nothing to root.
    NotPermitted,
    /// All files are links through `..data`, which is replaced, as Kubernetes mounts secrets.
    SwappedLink,
}

const FAULTS: [Fault; 9] = [
    Fault::Empty,
    Fault::Truncated,
    Fault::HalfWritten,
    Fault::SameSizeAndTime,
    Fault::Deleted,
    Fault::Directory,
    Fault::DanglingLink,
    Fault::NotPermitted,
    Fault::SwappedLink,
];

#[tokio::test]
async fn a_bad_file_leaves_the_old_in_force_is_told_once_and_heals() {
    for kind in KINDS {
        for fault in FAULTS {
            suffer(kind, fault).await;
        }
    }
}

async fn suffer(kind: Kind, fault: Fault) {
    let what = format!("{kind:?} {fault:?}");
    let bench = Bench::new(kind, fault == Fault::SwappedLink);
    let context = bench.fixture.context(bench.config());
    let shown = context.own_certificate();
    let trusted = context.trusted();

    if !bench.break_file(fault) {
        return;
    }
    let (outcome, log) = logged(|| context.look());
    let ReloadOutcome::Failed { reason, is_new } = outcome else {
        panic!("{what}: {outcome:?}");
    };
    assert!(is_new && reason.contains(bench.file()), "{what}: {reason}");
    let warned: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert!(
        warned.len() == 1
            && warned[0].contains(bench.file())
            && warned[0].contains("xpack.security.transport.ssl"),
        "{what}: {log}"
    );
    let (outcome, log) = logged(|| context.look());
    assert!(
        matches!(outcome, ReloadOutcome::Failed { is_new: false, .. }),
        "{what}: {outcome:?}"
    );
    assert!(!log.contains(" WARN "), "{what}: {log}");
    assert_eq!(context.last_reload_error().as_ref(), Some(&reason));
    assert_eq!(
        (context.own_certificate(), context.trusted()),
        (shown, trusted),
        "{what}"
    );
    let link = shake(&context, &bench.friend, "localhost").await;
    check(&format!("{what}: meanwhile"), &link.server, "");

    bench.heal();
    let (outcome, log) = logged(|| context.look());
    let ReloadOutcome::Reloaded(reload) = outcome else {
        panic!("{what}: {outcome:?}");
    };
    let file = bench.fixture.path(bench.file());
    assert!(reload.changed.contains(&file), "{what}: {reload:?}");
    let sentence = "ms for prefix names [xpack.security.transport.ssl] using file [";
    assert!(
        log.contains("updated 1 ssl contexts in ") && log.contains(sentence),
        "{what}: {log}"
    );
    match kind {
        Kind::Certificate | Kind::Key | Kind::Keystore => {
            let (old, new) = (reload.old.unwrap(), reload.new.unwrap());
            assert_ne!(old.serial, new.serial, "{what}");
            assert_eq!(context.own_certificate().as_ref(), Some(&new), "{what}");
            for told in [&old, &new] {
                assert!(log.contains(&told.serial), "{what}: {log}");
                assert!(log.contains(&told.fingerprint_sha256), "{what}: {log}");
                assert!(log.contains(&told.not_after.to_string()), "{what}: {log}");
            }
        }
        Kind::Authorities | Kind::Truststore => {
            let added = &reload.added[0];
            assert_eq!(
                (added.subject.as_str(), reload.added.len()),
                ("CN=Third CA", 1)
            );
            assert!(log.contains(&added.fingerprint), "{what}: {log}");
            assert_eq!(context.trusted().len(), 2, "{what}");
        }
        Kind::Restrictions | Kind::RevocationList => assert!(reload.trust_removed, "{what}"),
    }
    assert_eq!(context.last_reload_error(), None);
    let link = shake(&context, &bench.friend, "localhost").await;
    check(&format!("{what}: after"), &link.server, "");
}

/// A context's files.
struct Bench {
    kind: Kind,
    fixture: Fixture,
    friend: Arc<SslContext>,
    /// What comes next: name and content.
    new: Vec<(&'static str, Vec<u8>)>,
    through_link: bool,
}

impl Bench {
    fn new(kind: Kind, through_link: bool) -> Self {
        let fixture = Fixture::new();
        let friend = fixture.context(fixture.config(Cert::Good));
        let old = files(kind, &fixture, 1);
        let bench = Self {
            kind,
            new: files(kind, &fixture, 2),
            fixture,
            friend,
            through_link,
        };
        if through_link {
            for (name, _) in &old {
                symlink(Path::new("..data").join(name), bench.fixture.path(name)).unwrap();
            }
        }
        bench.put(&old);
        bench
    }

    /// The file that suffers.
    fn file(&self) -> &'static str {
        match self.kind {
            Kind::Certificate => "node.crt",
            Kind::Key => "node.key",
            Kind::Authorities => "trust.crt",
            Kind::Keystore => "node.p12",
            Kind::Truststore => "trust.p12",
            Kind::Restrictions => "trust.yml",
            Kind::RevocationList => "ca.crl",
        }
    }

    fn config(&self) -> SslConfig {
        let path = |name: &str| self.fixture.configured(name);
        let mut config = self.fixture.config(Cert::Good);
        match self.kind {
            Kind::Certificate | Kind::Key => config.key = self.fixture.pem_key("node"),
            Kind::Authorities => config.trust = TrustSource::Pem(vec![path("trust.crt")]),
            Kind::Keystore => {
                config.key = KeySource::Keystore {
                    path: path("node.p12"),
                    password: "secret".into(),
                    key_password: None,
                };
            }
            Kind::Truststore => {
                config.trust = TrustSource::Truststore {
                    path: path("trust.p12"),
                    password: "secret".into(),
                };
            }
            Kind::Restrictions => {
                config.restrictions = Some((path("trust.yml"), vec![RestrictedField::DnsName]));
            }
            Kind::RevocationList => config.revocation_lists = vec![path("ca.crl")],
        }
        config
    }

    /// Returns whether there is such a fault here.
    fn break_file(&self, fault: Fault) -> bool {
        let path = self.fixture.path(self.file());
        let content = std::fs::read(&path).unwrap();
        let next = self.new.iter().find(|(name, _)| *name == self.file());
        let next = &next.unwrap().1;
        match fault {
            Fault::Empty => std::fs::write(path, "").unwrap(),
            Fault::Truncated => std::fs::write(path, &content[..content.len() / 2]).unwrap(),
            Fault::HalfWritten => std::fs::write(path, &next[..next.len() * 2 / 3]).unwrap(),
            Fault::SameSizeAndTime => {
                let modified = path.metadata().unwrap().modified().unwrap();
                let mut damaged = content.clone();
                damaged[content.len() / 2..][..4].fill(b'!');
                std::fs::write(&path, damaged).unwrap();
                let file = File::options().write(true).open(&path).unwrap();
                file.set_modified(modified).unwrap();
                let after = path.metadata().unwrap();
                assert_eq!(after.modified().unwrap(), modified);
                assert_eq!(after.len(), content.len() as u64);
            }
            Fault::Deleted => std::fs::remove_file(path).unwrap(),
            Fault::Directory => {
                std::fs::remove_file(&path).unwrap();
                std::fs::create_dir(path).unwrap();
            }
            Fault::DanglingLink => {
                std::fs::remove_file(&path).unwrap();
                symlink("nowhere", path).unwrap();
            }
            Fault::NotPermitted => {
                std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
                return File::open(path).is_err();
            }
            Fault::SwappedLink => {
                let half = next[..next.len() * 2 / 3].to_vec();
                let others = self.new.iter().filter(|(name, _)| *name != self.file());
                let mut files: Vec<_> = others.cloned().collect();
                files.push((self.file(), half));
                self.put(&files);
            }
        }
        true
    }

    fn heal(&self) {
        self.put(&self.new);
    }

    fn put(&self, files: &[(&'static str, Vec<u8>)]) {
        let root = self.fixture.dir.path();
        if !self.through_link {
            for (name, content) in files {
                let path = self.fixture.path(name);
                let _ = std::fs::remove_dir(&path);
                let _ = std::fs::remove_file(&path);
                std::fs::write(path, content).unwrap();
            }
            return;
        }
        let version = tempfile::Builder::new()
            .prefix("..version")
            .tempdir_in(root)
            .unwrap()
            .keep();
        for (name, content) in files {
            std::fs::write(version.join(name), content).unwrap();
        }
        symlink(version.file_name().unwrap(), root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }
}

/// Returns the files of a kind; generation 2 differs from 1.
fn files(kind: Kind, fixture: &Fixture, generation: u8) -> Vec<(&'static str, Vec<u8>)> {
    let issued = fixture.ca.issue(&node_params("node-1")).unwrap();
    let mut authorities = vec![(CA_NAME, fixture.ca.certificate().clone())];
    if generation == 2 {
        let third = authority("Third CA");
        authorities.push(("Third CA", third.certificate().clone()));
    }
    match kind {
        Kind::Certificate | Kind::Key => vec![
            ("node.crt", pem::encode_certificates(&issued.chain).into()),
            ("node.key", key(&issued)),
        ],
        Kind::Authorities => {
            let certificates: Vec<_> = authorities.into_iter().map(|(_, der)| der).collect();
            vec![("trust.crt", pem::encode_certificates(&certificates).into())]
        }
        Kind::Keystore => {
            let entry = WriteEntry::Key {
                alias: "node",
                key: &issued.key,
                chain: &issued.chain,
            };
            vec![("node.p12", store(&[entry]))]
        }
        Kind::Truststore => {
            let entry = |(alias, certificate)| WriteEntry::Trusted { alias, certificate };
            let entries: Vec<_> = authorities
                .iter()
                .map(|(alias, certificate)| entry((*alias, certificate)))
                .collect();
            vec![("trust.p12", store(&entries))]
        }
        Kind::Restrictions => {
            let more = ["", ", 'node-*.ring'"][usize::from(generation) - 1];
            let text = format!("trust.subject_name: ['localhost'{more}]\n");
            vec![("trust.yml", text.into())]
        }
        Kind::RevocationList => {
            let serials = &["0bad", "0bad2"][..usize::from(generation)];
            vec![("ca.crl", fixture.revocation_list(serials).into())]
        }
    }
}

fn key(issued: &IssuedCertificate) -> Vec<u8> {
    let key = pem::encode_private_key(&issued.key, None).unwrap();
    key.expose().as_bytes().to_vec()
}

fn store(entries: &[WriteEntry<'_>]) -> Vec<u8> {
    p12::write(entries, &SecretString::from("secret")).unwrap()
}

#[tokio::test]
async fn key_and_certificate_may_be_replaced_one_after_the_other() {
    for first in ["node.key", "node.crt"] {
        let bench = Bench::new(Kind::Certificate, false);
        let context = bench.fixture.context(bench.config());
        let shown = context.own_certificate();
        let (one, other): (Vec<_>, Vec<_>) = bench
            .new
            .iter()
            .cloned()
            .partition(|(name, _)| *name == first);
        bench.put(&one);
        let (outcome, log) = logged(|| context.look());
        assert!(
            matches!(&outcome, ReloadOutcome::Failed { reason, .. } if reason.contains("does not match")),
            "{first}: {outcome:?}"
        );
        assert!(
            log.contains("node.key") && log.contains("node.crt"),
            "{log}"
        );
        assert_eq!(context.own_certificate(), shown);
        bench.put(&other);
        let outcome = context.look();
        assert!(matches!(outcome, ReloadOutcome::Reloaded(_)), "{outcome:?}");
        assert_ne!(context.own_certificate(), shown);
    }
}

#[tokio::test]
async fn less_trust_is_taken_up_when_it_is_seen_twice_and_more_at_once() {
    let fixture = Fixture::new();
    let pems = ["ca.crt", "other.crt", "same.crt"];
    let [ca, other, same] = pems.map(|name| std::fs::read_to_string(fixture.path(name)).unwrap());
    fixture.write("trust.crt", format!("{ca}{other}"));
    fixture.write("ca.crl", fixture.revocation_list(&["0bad"]));
    let mut config = fixture.config(Cert::Good);
    config.trust = TrustSource::Pem(vec![fixture.configured("trust.crt")]);
    config.revocation_lists = vec![fixture.configured("ca.crl")];
    let context = fixture.context(config);
    let trusted = || context.trusted().len();
    let changed = vec![fixture.path("trust.crt")];

    // A bundle that is written in pieces: half of it is a bundle too.
    fixture.write("trust.crt", &ca);
    let (outcome, log) = logged(|| context.look());
    assert_eq!(outcome, ReloadOutcome::Held { changed });
    assert!(
        log.contains("would trust less") && log.contains("trust.crt"),
        "{log}"
    );
    assert_eq!(trusted(), 2);
    fixture.write("trust.crt", format!("{ca}{other}{same}"));
    assert!(matches!(context.look(), ReloadOutcome::Reloaded(reload) if !reload.trust_removed));
    assert_eq!(trusted(), 3);

    // Two looks that differ are not two equal ones.
    for bundle in [&ca, &other, &ca] {
        fixture.write("trust.crt", bundle);
        assert!(matches!(context.look(), ReloadOutcome::Held { .. }));
        assert_eq!(trusted(), 3);
    }
    let outcome = context.look();
    assert!(
        matches!(&outcome, ReloadOutcome::Reloaded(reload) if reload.removed.len() == 2),
        "{outcome:?}"
    );
    assert_eq!(trusted(), 1);
    assert_eq!(context.look(), ReloadOutcome::Unchanged);

    // What was revoked is valid again only if it is so twice.
    fixture.write("ca.crl", fixture.revocation_list(&[]));
    assert!(matches!(context.look(), ReloadOutcome::Held { .. }));
    fixture.write("ca.crl", fixture.revocation_list(&["0bad", "0bad2"]));
    assert!(matches!(context.look(), ReloadOutcome::Reloaded(_)));
    fixture.write("ca.crl", fixture.revocation_list(&[]));
    assert!(matches!(context.look(), ReloadOutcome::Held { .. }));
    assert!(matches!(context.look(), ReloadOutcome::Reloaded(_)));

    // Files that are never twice the same are taken up all the same.
    fixture.write("trust.crt", format!("{ca}{other}{same}"));
    assert!(matches!(context.look(), ReloadOutcome::Reloaded(_)));
    for bundle in [&ca, &other, &format!("{ca}{other}")] {
        fixture.write("trust.crt", bundle);
        assert!(matches!(context.look(), ReloadOutcome::Held { .. }));
    }
    fixture.write("trust.crt", &ca);
    assert!(matches!(context.look(), ReloadOutcome::Reloaded(_)));
    assert_eq!(trusted(), 1);
}

#[test]
fn a_newer_revocation_list_is_taken_up_at_once_and_an_older_one_is_held() {
    let fixture = Fixture::new();
    let put = |lists: &[String]| fixture.write("ca.crl", lists.concat());
    let list = |number, revoked: &[&str]| {
        crate::support::revocation_list(&fixture.ca, number, revoked, 2124)
    };
    let of_other = crate::support::revocation_list(&fixture.other, 1, &["0bad"], 2124);
    let authorities = ["ca.crt", "other.crt"];
    let authorities = authorities.map(|name| std::fs::read_to_string(fixture.path(name)).unwrap());
    fixture.write("trust.crt", authorities.concat());
    put(&[list(8, &["0bad", "0bad2"]), of_other.clone()]);
    let mut config = fixture.config(Cert::Good);
    config.trust = TrustSource::Pem(vec![fixture.configured("trust.crt")]);
    config.revocation_lists = vec![fixture.configured("ca.crl")];
    let context = fixture.context(config);
    // A certificate that has ended is left out; every refresh has something new.
    for number in 9..20 {
        let revoked = format!("{:02x}", number + 1);
        put(&[list(number, &[&revoked]), of_other.clone()]);
        let outcome = context.look();
        assert!(matches!(outcome, ReloadOutcome::Reloaded(_)), "{outcome:?}");
    }
    // Back to an older one, or without that of the other authority.
    for lists in [
        vec![list(8, &["0bad"]), of_other.clone()],
        vec![list(20, &["14"])],
    ] {
        put(&lists);
        let outcome = context.look();
        assert!(matches!(outcome, ReloadOutcome::Held { .. }), "{outcome:?}");
    }
    put(&[list(20, &["15"]), of_other]);
    assert!(matches!(context.look(), ReloadOutcome::Reloaded(_)));
}

/// A file that two contexts share: what is wrong with one of them is nothing to the other.
#[tokio::test]
async fn a_broken_context_does_not_hold_up_its_neighbour() {
    let fixture = Fixture::new();
    let shared = |cert: Cert, name: &str| {
        let mut config = fixture.config(cert);
        config.name = name.to_owned();
        config
    };
    let transport = fixture.context(shared(Cert::Good, "xpack.security.transport.ssl"));
    let http = fixture.context(shared(Cert::WrongName, "xpack.security.http.ssl"));
    let pair = std::fs::read(fixture.path("Good.key")).unwrap();
    fixture.write("Good.key", "broken");
    let bundle = ["ca.crt", "other.crt"]
        .map(|name| std::fs::read_to_string(fixture.path(name)).unwrap())
        .concat();
    fixture.write("ca.crt", bundle);
    let broken = transport.look();
    assert!(
        matches!(&broken, ReloadOutcome::Failed { reason, .. } if reason.contains("Good.key")),
        "{broken:?}"
    );
    assert!(matches!(http.look(), ReloadOutcome::Reloaded(_)));
    assert_eq!((transport.trusted().len(), http.trusted().len()), (1, 2));
    fixture.write("Good.key", pair);
    assert!(matches!(transport.look(), ReloadOutcome::Reloaded(_)));
    assert_eq!(transport.trusted().len(), 2);
}

/// Calls the function and returns what it logged.
fn logged<T>(call: impl FnOnce() -> T) -> (T, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let returned = tracing::subscriber::with_default(subscriber, call);
    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    (returned, text)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
