use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use ringwall_api::auth::AuthenticationType;
use ringwall_api::security::StoredApiKey;
use ringwall_api::security::StoredRole;
use ringwall_pki::{CaParams, CertificateAuthority, KeySpec, NodeCertParams};

use super::*;
use crate::{
    Authenticator, AuthenticatorConfig, IndexNames, SecurityStore, StoredReserved, StoredUser,
};

/// A trust that says what it is told to, and counts how often it is asked.
#[derive(Default)]
struct FakeTrust {
    refusal: Mutex<Option<String>>,
    generation: AtomicU64,
    asked: AtomicU64,
}

impl FakeTrust {
    fn now_refuses(&self, reason: &str) {
        *self.refusal.lock() = Some(reason.to_owned());
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl CertificateTrust for FakeTrust {
    fn verify(&self, _chain: &[CertificateDer<'static>]) -> Result<(), String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.refusal.lock().clone().map_or(Ok(()), Err)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}

/// Knows nobody.
struct NoUsers;

impl SecurityStore for NoUsers {
    fn native_user(&self, _username: &str) -> Option<StoredUser> {
        None
    }

    fn reserved_user(&self, _username: &str) -> Option<StoredReserved> {
        None
    }

    fn api_key(&self, _id: &str) -> Option<Arc<StoredApiKey>> {
        None
    }

    fn service_token(&self, _principal: &str, _name: &str) -> Option<String> {
        None
    }

    fn token(&self, _: &str) -> Option<Arc<ringwall_api::security::StoredToken>> {
        None
    }

    fn role(&self, _: &str) -> Option<Arc<StoredRole>> {
        None
    }

    fn role_mappings(&self) -> Vec<(String, Arc<ringwall_api::security::StoredRoleMapping>)> {
        Vec::new()
    }

    fn application_privileges(
        &self,
        _: &str,
    ) -> Option<Arc<ringwall_api::security::OfApplication<ringwall_api::security::StoredPrivilege>>>
    {
        None
    }

    fn generation(&self) -> u64 {
        0
    }

    fn index_names(&self) -> Arc<IndexNames> {
        Arc::default()
    }
}

fn certificate(subject: &str, days: u32) -> ClientCertificates {
    let ca = CaParams {
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    let params = NodeCertParams {
        name: DistinguishedName::parse(subject).unwrap(),
        key: KeySpec::EcP256,
        days,
        ..NodeCertParams::default()
    };
    let issued = CertificateAuthority::generate(&ca)
        .unwrap()
        .issue(&params)
        .unwrap();
    ClientCertificates::new(issued.chain).unwrap()
}

fn config(trust: &Arc<FakeTrust>, dir: &Path) -> PkiRealmConfig {
    PkiRealmConfig {
        name: "pki1".to_owned(),
        username: UsernameSource::attribute("CN").unwrap(),
        trust: vec![Arc::clone(trust) as Arc<dyn CertificateTrust>],
        role_mapping: dir.join("role_mapping.yml"),
        cache_ttl: Duration::from_secs(1200),
        cache_max_users: 100,
    }
}

/// Returns the user's name and roles, or why there is none.
fn ask(realm: &PkiRealm, certificates: &ClientCertificates, now: i64) -> String {
    match realm.authenticate(certificates, now) {
        PkiVerdict::User(user) => format!("{} {:?}", user.username, user.roles),
        PkiVerdict::Refused { username, reason } => format!("{username} refused: {reason}"),
        PkiVerdict::NotMine => "not mine".to_owned(),
    }
}

#[test]
fn names_of_users_are_found_in_subjects() {
    let cn = r"CN=(.*?)(?:,|$)";
    for (source, subject, expected) in [
        (cn, "CN=ann,OU=it", Some("ann")),
        (cn, "OU=it,CN=ann", Some("ann")),
        (cn, "OU=it", None),
        ("OU=(.*?)(?:,|$)", "CN=ann,OU=it", Some("it")),
        ("^CN=([a-z]+), OU=it$", "CN=ann,OU=it", Some("ann")),
        ("^CN=([a-z]+),OU=it$", "CN=ann,OU=it", None),
        (
            "EMAILADDRESS=(.*?)@",
            "EMAILADDRESS=ann@b.example",
            Some("ann"),
        ),
        // A value that looks like another attribute.
        (cn, r"OU=x\, CN=root\, y,CN=ann", Some("ann")),
        (cn, "OU=CN=root,CN=ann", Some("ann")),
        // Two people must not become one.
        (cn, r"CN=Lee\, Ann", None),
        ("CN=(x*)", "CN=ann", None),
        ("CN=(.*)", "CN=_system", None),
        // `admin` and a line feed; half a character of a BMPString; the same in another attribute.
        (cn, "CN=#0c0661646d696e0a", None),
        (cn, "CN=#1e050061006478", None),
        (cn, "CN=ann,OU=#0c02610a", None),
        (cn, "CN=#1e0400610064", Some("ad")),
    ] {
        let found = UsernameSource::pattern(source)
            .unwrap()
            .username(&DistinguishedName::parse(subject).unwrap());
        assert_eq!(found.as_deref(), expected, "{source} in {subject}");
    }
    for (keyword, subject, expected) in [
        ("cn", r"CN=Lee\, Ann,O=x", Some("Lee, Ann")),
        ("UID", "CN=Ann,UID=ann", Some("ann")),
        ("0.9.2342.19200300.100.1.1", "CN=Ann,UID=ann", Some("ann")),
        ("CN", "OU=it", None),
        ("CN", "CN=_xpack_security", None),
        ("CN", r"CN=\ ", None),
        ("CN", "CN=#0c0661646d696e0a", None),
        ("CN", "CN=#0c0761646d696e0000", None),
        ("CN", "CN=#1e050061006478", None),
        ("UID", "CN=#13056100626364,UID=ann", None),
    ] {
        let found = UsernameSource::attribute(keyword)
            .unwrap()
            .username(&DistinguishedName::parse(subject).unwrap());
        assert_eq!(found.as_deref(), expected, "{keyword} of {subject}");
    }
    for bad in ["CN=.*", "CN=(", "CN=(?=a)(b)"] {
        assert!(UsernameSource::pattern(bad).is_err(), "{bad}");
    }
    assert!(UsernameSource::attribute("nickname").is_err());
}

#[test]
fn roles_follow_the_file_and_a_broken_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(dir.path().join("role_mapping.yml"), text).unwrap();
    let trust = Arc::new(FakeTrust::default());
    let realm = PkiRealm::open(config(&trust, dir.path())).unwrap();
    let ann = certificate("CN=ann,OU=it", 10);
    assert_eq!(ask(&realm, &ann, 0), "ann []");
    write("viewer:\n- cn=Ann, ou=IT\n");
    assert_eq!(ask(&realm, &ann, 0), "ann []", "not looked at yet");
    realm.poll();
    assert_eq!(ask(&realm, &ann, 0), r#"ann ["viewer"]"#);
    write("viewer:\n- cn=Ann, ou=IT\neditor: [\n");
    realm.poll();
    assert_eq!(ask(&realm, &ann, 0), r#"ann ["viewer"]"#);
    write("editor:\n- CN=ann,OU=it\n");
    realm.poll();
    assert_eq!(ask(&realm, &ann, 0), r#"ann ["editor"]"#);
    std::fs::remove_file(dir.path().join("role_mapping.yml")).unwrap();
    realm.poll();
    assert_eq!(ask(&realm, &ann, 0), "ann []");
}

#[test]
fn a_chain_is_remembered_until_trust_changes_or_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let trust = Arc::new(FakeTrust::default());
    let realm = PkiRealm::open(config(&trust, dir.path())).unwrap();
    let ann = certificate("CN=ann", 10);
    let leaf = CertificateInfo::from_der(&ann.chain[0]).unwrap();
    let end = leaf.not_after.as_second();
    for now in [0, end, end] {
        assert_eq!(ask(&realm, &ann, now), "ann []");
    }
    assert_eq!(trust.asked(), 1);
    // Another chain below the same leaf is another question.
    let alone = ClientCertificates::new(vec![ann.chain[0].clone()]).unwrap();
    ask(&realm, &alone, 0);
    assert_eq!(trust.asked(), 2);
    ask(&realm, &ann, end + 1);
    assert_eq!(trust.asked(), 3, "it is over: trust decides");
    trust.now_refuses("its CA is gone");
    assert_eq!(ask(&realm, &ann, 0), "ann refused: its CA is gone");
    // What is refused is never remembered.
    *trust.refusal.lock() = None;
    assert_eq!(ask(&realm, &ann, 0), "ann []");
}

#[test]
fn nothing_is_remembered_without_a_time_to_live() {
    let dir = tempfile::tempdir().unwrap();
    let trust = Arc::new(FakeTrust::default());
    let realm = PkiRealm::open(PkiRealmConfig {
        cache_ttl: Duration::ZERO,
        ..config(&trust, dir.path())
    });
    let (realm, ann) = (realm.unwrap(), certificate("CN=ann", 10));
    ask(&realm, &ann, 0);
    ask(&realm, &ann, 0);
    assert_eq!(trust.asked(), 2);
}

#[test]
fn every_trust_must_agree_and_there_must_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let (layer, own) = (
        Arc::new(FakeTrust::default()),
        Arc::new(FakeTrust::default()),
    );
    own.now_refuses("unknown issuer");
    let both = PkiRealmConfig {
        trust: vec![layer.clone(), own.clone()],
        ..config(&layer, dir.path())
    };
    let realm = PkiRealm::open(both).unwrap();
    let ann = certificate("CN=ann", 10);
    assert_eq!(ask(&realm, &ann, 0), "ann refused: unknown issuer");
    let nobody = PkiRealmConfig {
        trust: Vec::new(),
        ..config(&layer, dir.path())
    };
    let error = PkiRealm::open(nobody).err().unwrap().to_string();
    assert!(
        error.starts_with("a PKI realm without trust configuration is enabled"),
        "{error}"
    );
    assert!(ClientCertificates::new(Vec::new()).is_none());
    let garbage = ClientCertificates::new(vec![CertificateDer::from(vec![1, 2, 3])]).unwrap();
    assert_eq!(ask(&realm, &garbage, 0), "not mine");
}

#[tokio::test]
async fn a_certificate_counts_where_no_other_credential_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("role_mapping.yml"),
        "viewer:\n- CN=ann,O=x\n",
    )
    .unwrap();
    let (strict, lax) = (
        Arc::new(FakeTrust::default()),
        Arc::new(FakeTrust::default()),
    );
    strict.now_refuses("unknown issuer");
    let second = PkiRealmConfig {
        name: "pki2".to_owned(),
        username: UsernameSource::attribute("O").unwrap(),
        ..config(&lax, dir.path())
    };
    let realms = [config(&strict, dir.path()), second]
        .map(|config| Arc::new(PkiRealm::open(config).unwrap()));
    let authenticator = Authenticator::new(
        Arc::new(NoUsers),
        AuthenticatorConfig {
            hasher: crate::Hasher::Bcrypt { cost: 4 },
            pki_realms: realms.to_vec(),
            ..AuthenticatorConfig::default()
        },
    );
    let ann = certificate("CN=ann,O=x", 10);
    let by = async |header: Option<&str>, certificates: Option<&ClientCertificates>| {
        authenticator
            .authenticate(header, certificates, "/_search")
            .await
    };
    let found = by(None, Some(&ann)).await.unwrap();
    assert_eq!(found.authentication_type, AuthenticationType::Realm);
    assert_eq!(
        (&*found.realm.name, &*found.realm.realm_type),
        ("pki2", "pki")
    );
    assert_eq!(found.user.username, "x");
    assert_eq!(found.user.roles, ["viewer"]);
    assert_eq!(found.user.metadata["pki_dn"], "CN=ann, O=x");
    let wrong = format!("Basic {}", STANDARD.encode("ann:wrong-pass"));
    // Whoever tries to be somebody else is not taken for the holder of the certificate.
    for header in [
        wrong.as_str(),
        "Basic %%%",
        "ApiKey abc",
        "Bearer abc",
        "Negotiate abc",
        "Basic ",
        "Basic",
        "",
    ] {
        let refused = by(Some(header), Some(&ann)).await.unwrap_err();
        assert_eq!(refused.code.status(), 401, "{header}: {refused}");
    }
    let reason = async |subject: &str| {
        let certificate = certificate(subject, 10);
        by(None, Some(&certificate)).await.unwrap_err().to_string()
    };
    // Refused by the first, and nobody in the second.
    let refused = reason("CN=bob").await;
    assert!(
        refused.contains("unable to authenticate user [bob] for REST request [/_search]"),
        "{refused}"
    );
    let nameless = reason("OU=it").await;
    assert!(
        nameless.contains("missing authentication credentials for REST request [/_search]"),
        "{nameless}"
    );
    assert!(
        Authenticator::disabled()
            .authenticate(None, Some(&ann), "/")
            .await
            .is_ok()
    );
}
