use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use ringwall_api::ErrorCode;
use ringwall_api::security::StoredRole;
use ringwall_api::security::{ApiKeyInfo, Principal, StoredApiKey, StoredToken};
use serde_json::json;

use super::*;
use crate::api_keys::ApiKeyCredential;
use crate::{IndexNames, StoredReserved, StoredUser};

#[derive(Default)]
struct FakeStore {
    users: Mutex<HashMap<String, StoredUser>>,
    reserved: Mutex<HashMap<String, StoredReserved>>,
    generation: AtomicU64,
    api_key: Mutex<Option<Arc<StoredApiKey>>>,
    /// Its full name and hash.
    service_token: Mutex<Option<(String, String)>>,
    access_token: Mutex<Option<Arc<StoredToken>>>,
    lookups: AtomicU64,
}

impl FakeStore {
    fn put(&self, name: &str, password: &str, enabled: bool) {
        let stored = StoredUser {
            user: User {
                username: name.to_owned(),
                roles: vec!["viewer".to_owned()],
                full_name: None,
                email: None,
                metadata: serde_json::Map::new(),
                enabled,
            },
            password_hash: hash_of(password),
        };
        self.users.lock().insert(name.to_owned(), stored);
        self.changed();
    }

    fn put_reserved(&self, name: &str, password: Option<&str>, enabled: bool) {
        let stored = StoredReserved {
            password_hash: password.map(hash_of),
            enabled,
        };
        self.reserved.lock().insert(name.to_owned(), stored);
        self.changed();
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

impl SecurityStore for FakeStore {
    fn native_user(&self, username: &str) -> Option<StoredUser> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.users.lock().get(username).cloned()
    }

    fn reserved_user(&self, username: &str) -> Option<StoredReserved> {
        self.reserved.lock().get(username).cloned()
    }

    fn api_key(&self, _: &str) -> Option<Arc<StoredApiKey>> {
        self.api_key.lock().clone()
    }

    fn service_token(&self, principal: &str, name: &str) -> Option<String> {
        let token = self.service_token.lock();
        let (known, hash) = token.as_ref()?;
        (*known == format!("{principal}/{name}")).then(|| hash.clone())
    }

    fn token(&self, id: &str) -> Option<Arc<StoredToken>> {
        self.access_token
            .lock()
            .clone()
            .filter(|token| token.id == id)
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
        self.generation.load(Ordering::SeqCst)
    }

    fn index_names(&self) -> Arc<IndexNames> {
        Arc::default()
    }
}

fn hash_of(password: &str) -> String {
    CHEAP.hash(&password.into()).unwrap()
}

const CHEAP: Hasher = Hasher::Bcrypt { cost: 4 };

fn authenticator(store: &Arc<FakeStore>, bootstrap: Option<&str>) -> Authenticator {
    with_files(store, bootstrap, None)
}

fn with_files(
    store: &Arc<FakeStore>,
    bootstrap: Option<&str>,
    file_realm: Option<Arc<FileRealm>>,
) -> Authenticator {
    let config = AuthenticatorConfig {
        hasher: CHEAP,
        bootstrap_password: bootstrap.map(SecretString::from),
        password_realms: file_realm
            .map(PasswordRealm::File)
            .into_iter()
            .chain([native()])
            .collect(),
        ..AuthenticatorConfig::default()
    };
    Authenticator::new(Arc::clone(store) as Arc<dyn SecurityStore>, config)
}

fn native() -> PasswordRealm {
    PasswordRealm::Native {
        name: "native1".to_owned(),
    }
}

async fn login(
    authenticator: &Authenticator,
    user: &str,
    password: &str,
) -> ApiResult<Authentication> {
    let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    authenticator.authenticate(Some(&header), None, "/x").await
}

#[tokio::test]
async fn native_users_log_in_and_every_refusal_looks_the_same() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "right-1", true);
    store.put("off", "right-2", false);
    let authenticator = authenticator(&store, None);
    let ann = login(&authenticator, "ann", "right-1").await.unwrap();
    assert_eq!(ann.user.username, "ann");
    assert_eq!(ann.realm.name, "native1");
    assert_eq!(ann.realm.realm_type, "native");
    for (user, password) in [
        ("ann", "wrong"),
        ("ann", ""),
        ("off", "right-2"),
        ("nobody", "x"),
        ("_system", "x"),
        ("kibana_system", ""),
        ("", ""),
    ] {
        let error = login(&authenticator, user, password).await.unwrap_err();
        let reason = format!("unable to authenticate user [{user}] for REST request [/x]");
        let root = json!({
            "type": "security_exception", "reason": reason,
            "header": {"WWW-Authenticate": ["Basic realm=\"security\", charset=\"UTF-8\"", "ApiKey"]},
        });
        let mut expected = root.clone();
        expected["root_cause"] = json!([root]);
        assert_eq!(error.to_json(), json!({"error": expected, "status": 401}));
    }
}

#[tokio::test]
async fn missing_and_foreign_credentials_have_their_own_words() {
    let store = Arc::new(FakeStore::default());
    let authenticator = authenticator(&store, None);
    for (header, part) in [
        (
            None,
            "missing authentication credentials for REST request [/_search?q=1]",
        ),
        (
            Some("ApiKey abc"),
            "unable to authenticate with provided credentials",
        ),
        (
            Some("Basic @"),
            "invalid basic authentication header encoding",
        ),
    ] {
        let error = authenticator
            .authenticate(header, None, "/_search?q=1")
            .await
            .unwrap_err();
        assert!(error.reason.contains(part), "{}", error.reason);
        assert_eq!((error.code, error.status), (ErrorCode::Security, 401));
        assert_eq!(error.headers.len(), 2);
    }
}

#[tokio::test]
async fn the_bootstrap_password_holds_until_one_is_stored() {
    let store = Arc::new(FakeStore::default());
    let authenticator = authenticator(&store, Some("boot-1"));
    let elastic = login(&authenticator, "elastic", "boot-1").await.unwrap();
    assert_eq!(elastic.user.roles, ["superuser"]);
    assert_eq!(elastic.realm.realm_type, "reserved");
    assert!(login(&authenticator, "elastic", "boot-2").await.is_err());
    assert!(
        login(&authenticator, "kibana_system", "boot-1")
            .await
            .is_err()
    );
    store.put_reserved("elastic", Some("stored-1"), true);
    assert!(login(&authenticator, "elastic", "boot-1").await.is_err());
    assert!(login(&authenticator, "elastic", "stored-1").await.is_ok());
    store.put_reserved("elastic", Some("stored-1"), false);
    assert!(login(&authenticator, "elastic", "stored-1").await.is_err());
}

#[tokio::test]
async fn a_native_user_cannot_take_a_reserved_name() {
    let store = Arc::new(FakeStore::default());
    store.put("elastic", "native-1", true);
    assert!(
        login(&authenticator(&store, None), "elastic", "native-1")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_cache_serves_repeats_and_forgets_on_change() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "first-1", true);
    let authenticator = authenticator(&store, None);
    login(&authenticator, "ann", "first-1").await.unwrap();
    let lookups = store.lookups.load(Ordering::SeqCst);
    login(&authenticator, "ann", "first-1").await.unwrap();
    assert_eq!(
        store.lookups.load(Ordering::SeqCst),
        lookups,
        "served from the cache"
    );
    assert!(login(&authenticator, "ann", "wrong").await.is_err());

    store.put("ann", "second-1", true);
    assert!(login(&authenticator, "ann", "first-1").await.is_err());
    login(&authenticator, "ann", "second-1").await.unwrap();
    store.put("ann", "second-1", false);
    assert!(login(&authenticator, "ann", "second-1").await.is_err());
    store.users.lock().remove("ann");
    store.changed();
    assert!(login(&authenticator, "ann", "second-1").await.is_err());
}

#[tokio::test]
async fn a_change_of_another_user_updates_the_roles_without_a_slow_hash() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "first-1", true);
    let config = AuthenticatorConfig {
        hasher: CHEAP,
        ..AuthenticatorConfig::default()
    };
    let pool = HashPool::new(HashPoolConfig {
        workers: 1,
        queue: 0,
    });
    let authenticator = Authenticator::with_pool(
        Arc::clone(&store) as Arc<dyn SecurityStore>,
        config,
        pool.clone(),
    );
    login(&authenticator, "ann", "first-1").await.unwrap();

    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (started, running) = tokio::sync::oneshot::channel();
    let busy = tokio::spawn(async move {
        pool.run(move || {
            started.send(()).unwrap();
            gate.recv().unwrap();
        })
        .await
    });
    running.await.unwrap();
    // The pool is full, so only the cache can answer.
    store.users.lock().get_mut("ann").unwrap().user.roles = vec!["editor".to_owned()];
    store.changed();
    let ann = login(&authenticator, "ann", "first-1").await.unwrap();
    assert_eq!(ann.user.roles, ["editor"]);
    let refused = login(&authenticator, "ann", "other").await.unwrap_err();
    assert_eq!(refused.status, 429);
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_logins_of_one_user_share_a_verification() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "first-1", true);
    let config = AuthenticatorConfig {
        hasher: CHEAP,
        pool: HashPoolConfig {
            workers: 1,
            queue: 1,
        },
        ..AuthenticatorConfig::default()
    };
    let authenticator = Arc::new(Authenticator::new(
        Arc::clone(&store) as Arc<dyn SecurityStore>,
        config,
    ));
    let logins: Vec<_> = (0..50)
        .map(|_| {
            let authenticator = Arc::clone(&authenticator);
            tokio::spawn(async move { login(&authenticator, "ann", "first-1").await })
        })
        .collect();
    for attempt in logins {
        attempt.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn disabled_security_accepts_everyone() {
    let identity = Authenticator::disabled()
        .authenticate(None, None, "/")
        .await
        .unwrap();
    assert_eq!(identity.authentication_type, AuthenticationType::Anonymous);
    assert_eq!(identity.user.roles, ["superuser"]);
}

#[test]
fn a_password_never_shows_in_debug() {
    let basic = credential::parse(Some("Basic YW5uOnNlY3JldA=="));
    assert!(!format!("{basic:?}").contains("secret"));
}

#[tokio::test]
async fn users_of_files_log_in_before_native_ones_and_changes_count_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "users",
        format!("ann:{}\nelastic:{0}\n", hash_of("file-pass")),
    );
    write("users_roles", "superuser:ann\n".to_owned());
    let store = Arc::new(FakeStore::default());
    store.put("ann", "native-pass", true);
    let realm = Arc::new(FileRealm::open("file1", directory.path()));
    let auth = with_files(&store, None, Some(Arc::clone(&realm)));
    let login = |user: &'static str, password: &'static str| {
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let auth = &auth;
        async move { auth.authenticate(Some(&header), None, "/").await }
    };

    let in_file = login("ann", "file-pass").await.unwrap();
    assert_eq!(
        (
            in_file.realm.name.as_str(),
            in_file.realm.realm_type.as_str()
        ),
        ("file1", "file")
    );
    assert_eq!(in_file.user.roles, ["superuser"]);
    let native = login("ann", "native-pass").await.unwrap();
    assert_eq!(
        (
            native.realm.realm_type.as_str(),
            native.user.roles[0].as_str()
        ),
        ("native", "viewer")
    );
    assert!(login("ann", "other").await.is_err());
    // Reserved names belong to the reserved realm alone.
    assert!(login("elastic", "file-pass").await.is_err());

    assert!(login("ann", "file-pass").await.is_ok());
    write("users_roles", "editor:ann\n".to_owned());
    realm.poll();
    assert_eq!(
        login("ann", "file-pass").await.unwrap().user.roles,
        ["editor"]
    );
    std::fs::write(directory.path().join("users"), [0xff, b'\n']).unwrap();
    realm.poll();
    assert!(
        login("ann", "file-pass").await.is_ok(),
        "an unreadable file changes nothing"
    );
    std::fs::remove_file(directory.path().join("users")).unwrap();
    realm.poll();
    assert!(login("ann", "file-pass").await.is_err());
    assert!(login("ann", "native-pass").await.is_ok());
}

#[tokio::test]
async fn the_password_of_the_first_start_holds_until_one_is_stored() {
    let store = Arc::new(FakeStore::default());
    let config = AuthenticatorConfig {
        hasher: CHEAP,
        bootstrap_password: Some("bootstrap".into()),
        autoconfiguration_hash: Some(hash_of("generated").into()),
        ..AuthenticatorConfig::default()
    };
    let auth = Authenticator::new(store.clone(), config);
    let login = |password: &str| {
        let header = format!("Basic {}", STANDARD.encode(format!("elastic:{password}")));
        let auth = &auth;
        async move { auth.authenticate(Some(&header), None, "/").await.is_ok() }
    };
    assert!(login("generated").await);
    assert!(!login("bootstrap").await);
    store.put_reserved("elastic", Some("stored"), true);
    assert!(!login("generated").await);
    assert!(login("stored").await);
}

#[tokio::test]
async fn service_accounts_show_their_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("service_tokens");
    let token = ServiceAccountToken::generate("elastic/kibana", "t1");
    let hash = CHEAP.hash(&token.secret).unwrap();
    std::fs::write(&path, format!("elastic/kibana/t1:{hash}\n")).unwrap();
    let tokens = Arc::new(Watched::open(path.clone(), |text| {
        Ok(ServiceTokensFile::parse(text))
    }));
    let store = Arc::new(FakeStore::default());
    let config = AuthenticatorConfig {
        hasher: CHEAP,
        service_tokens: Some(Arc::clone(&tokens)),
        ..AuthenticatorConfig::default()
    };
    let auth = Authenticator::new(store, config);
    let show = |token: &ServiceAccountToken| {
        let header = format!("Bearer {}", token.bearer().expose());
        let auth = &auth;
        async move { auth.authenticate(Some(&header), None, "/").await }
    };
    for _ in 0..2 {
        let kibana = show(&token).await.unwrap();
        assert_eq!(kibana.user.username, "elastic/kibana");
        assert_eq!(kibana.realm.realm_type, "_service_account");
        assert_eq!(kibana.token.unwrap().name, "t1");
        assert_eq!(kibana.user.roles, Vec::<String>::new());
    }
    let other_secret = ServiceAccountToken {
        secret: "another-secret".into(),
        ..token.clone()
    };
    let other_name = ServiceAccountToken {
        name: "t2".to_owned(),
        ..token.clone()
    };
    for wrong in [other_secret, other_name] {
        let refused = show(&wrong).await.unwrap_err();
        assert_eq!(refused.status, 401);
        let why = refused.metadata["additional_unsuccessful_credentials"].to_string();
        assert!(
            why.contains("service account [elastic/kibana] with token name ["),
            "{why}"
        );
        assert!(!why.contains("secret"), "{why}");
    }
    assert!(
        auth.authenticate(Some("Bearer abc"), None, "/")
            .await
            .is_err()
    );
    std::fs::remove_file(&path).unwrap();
    tokens.poll();
    assert!(show(&token).await.is_err(), "a removed token ends at once");
}

#[tokio::test]
async fn stored_tokens_and_api_keys_are_accepted() {
    let store = Arc::new(FakeStore::default());
    let auth = authenticator(&store, None);
    let token = ServiceAccountToken::generate("elastic/kibana", "t2");
    let hash = crate::token_hash::hash(&token.secret);
    *store.service_token.lock() = Some(("elastic/kibana/t2".to_owned(), hash));
    let header = format!("Bearer {}", token.bearer().expose());
    let kibana = auth.authenticate(Some(&header), None, "/").await.unwrap();
    assert_eq!(kibana.token.unwrap().token_type, "_service_account_index");

    let key = ApiKeyCredential::generate(crate::api_keys::new_id());
    let header = format!("ApiKey {}", key.encoded().expose());
    let unknown = auth
        .authenticate(Some(&header), None, "/")
        .await
        .unwrap_err();
    let why = format!("API key: unable to find apikey with id {}", key.id);
    assert_eq!(unknown.metadata["additional_unsuccessful_credentials"], why);
    let info = ApiKeyInfo {
        id: key.id.clone(),
        name: "k".to_owned(),
        creation_ms: 0,
        expiration_ms: None,
        invalidation_ms: None,
        role_descriptors: serde_json::Map::new(),
        limited_by: serde_json::Map::new(),
        metadata: serde_json::Map::new(),
        owner: crate::api_keys::owner(&native_ann(), None),
    };
    let stored = StoredApiKey {
        info,
        hash: key.hash(),
    };
    *store.api_key.lock() = Some(Arc::new(stored));
    let found = auth.authenticate(Some(&header), None, "/").await.unwrap();
    assert_eq!(found.authentication_type, AuthenticationType::ApiKey);
    assert_eq!(
        (found.user.username.as_str(), found.realm.name.as_str()),
        ("ann", "_es_api_key")
    );
}

/// Lets the store know an access token of that identity, and returns what to send.
fn issue(store: &FakeStore, auth: &Authenticator, identity: &Authentication) -> String {
    let holder = auth.token_holder(identity).unwrap();
    let made = crate::tokens::issue(holder, Principal::of(identity), false, now_ms(), 60_000);
    *store.access_token.lock() = Some(Arc::new(made.stored));
    format!("Bearer {}", made.access.expose())
}

fn with_tokens(store: &Arc<FakeStore>, file_realm: Option<Arc<FileRealm>>) -> Authenticator {
    let config = AuthenticatorConfig {
        hasher: CHEAP,
        password_realms: file_realm
            .map(PasswordRealm::File)
            .into_iter()
            .chain([native()])
            .collect(),
        tokens: true,
        ..AuthenticatorConfig::default()
    };
    Authenticator::new(Arc::clone(store) as Arc<dyn SecurityStore>, config)
}

#[tokio::test]
async fn an_access_token_is_worth_what_its_user_is_by_then() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "right-1", true);
    let auth = with_tokens(&store, None);
    let ann = login(&auth, "ann", "right-1").await.unwrap();
    let header = issue(&store, &auth, &ann);
    let show = async || auth.authenticate(Some(&header), None, "/").await;
    let found = show().await.unwrap();
    assert_eq!(found.authentication_type, AuthenticationType::Token);
    assert_eq!((&found.user, &found.realm), (&ann.user, &ann.realm));
    let mut roles = store.users.lock().get("ann").unwrap().clone();
    roles.user.roles = vec!["less".to_owned()];
    store.users.lock().insert("ann".to_owned(), roles);
    assert_eq!(show().await.unwrap().user.roles, ["less"]);
    store.put("ann", "right-1", false);
    let why = "oauth2 token: the user [ann] of the realm [native1] is disabled or gone";
    let refused = show().await.unwrap_err();
    assert_eq!(refused.metadata["additional_unsuccessful_credentials"], why);
    store.users.lock().remove("ann");
    assert_eq!(show().await.unwrap_err().status, 401);
    store.put("ann", "right-1", true);
    show().await.unwrap();
    // Without the setting nobody comes with one, and nobody is asked for one.
    let off = authenticator(&store, None);
    let refused = off
        .authenticate(Some(&header), None, "/")
        .await
        .unwrap_err();
    assert_eq!(refused.status, 401);
    assert!(!refused.to_json().to_string().contains("Bearer"));
    let asked = auth.authenticate(None, None, "/").await.unwrap_err();
    assert!(
        asked
            .to_json()
            .to_string()
            .contains(r#"Bearer realm=\"security\""#)
    );
    // Nor once it has ended.
    let mut ended = StoredToken::clone(store.access_token.lock().as_ref().unwrap());
    ended.access.is_invalidated = true;
    *store.access_token.lock() = Some(Arc::new(ended));
    let refused = show().await.unwrap_err();
    assert_eq!((refused.status, &*refused.reason), (401, "token expired"));
}

#[tokio::test]
async fn a_token_is_of_the_user_of_its_realm_and_of_nobody_of_that_name() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "right-1", true);
    let auth = with_tokens(&store, None);
    let mut other = login(&auth, "ann", "right-1").await.unwrap();
    for realm in [
        realm_ref("file1", FILE),
        realm_ref("native2", NATIVE),
        realm_ref("pki1", PKI),
        realm_ref(RESERVED, RESERVED),
    ] {
        other.realm = realm;
        let header = issue(&store, &auth, &other);
        let refused = auth.authenticate(Some(&header), None, "/").await;
        assert_eq!(refused.unwrap_err().status, 401, "{:?}", other.realm);
    }
    // A user that the cluster keeps cannot have the name of a built-in one.
    store.put("kibana_system", "right-1", true);
    other.realm = realm_ref("native1", NATIVE);
    other.user = Arc::new(nobody_of("kibana_system"));
    let header = issue(&store, &auth, &other);
    assert!(auth.authenticate(Some(&header), None, "/").await.is_err());
}

#[tokio::test]
async fn a_token_made_by_acting_as_another_needs_both() {
    let store = Arc::new(FakeStore::default());
    store.put("boss", "right-1", true);
    store.put("ann", "right-2", true);
    let auth = with_tokens(&store, None);
    let boss = login(&auth, "boss", "right-1").await.unwrap();
    let acting = auth.run_as(boss, "ann", "/").unwrap();
    let header = issue(&store, &auth, &acting);
    let show = async || auth.authenticate(Some(&header), None, "/").await;
    let found = show().await.unwrap();
    assert_eq!(found.user.username, "ann");
    assert_eq!(found.run_by.as_ref().unwrap().user.username, "boss");
    // Another act on top of it would hide who began.
    assert_eq!(auth.run_as(found, "boss", "/").unwrap_err().status, 400);
    store.put("boss", "right-1", false);
    assert!(show().await.is_err());
}

#[tokio::test]
async fn a_token_of_an_api_key_ends_with_it_and_stays_one_of_a_key() {
    let store = Arc::new(FakeStore::default());
    let auth = with_tokens(&store, None);
    let key = ApiKeyCredential::generate(crate::api_keys::new_id());
    let info = ApiKeyInfo {
        id: key.id.clone(),
        name: "k".to_owned(),
        creation_ms: 0,
        expiration_ms: None,
        invalidation_ms: None,
        role_descriptors: serde_json::Map::new(),
        limited_by: serde_json::Map::new(),
        metadata: serde_json::Map::new(),
        owner: crate::api_keys::owner(&native_ann(), None),
    };
    let mut stored = StoredApiKey {
        info,
        hash: key.hash(),
    };
    *store.api_key.lock() = Some(Arc::new(stored.clone()));
    let identity = key.check(Some(&stored), 1).unwrap();
    let header = issue(&store, &auth, &identity);
    let found = auth.authenticate(Some(&header), None, "/").await.unwrap();
    assert_eq!(found.authentication_type, AuthenticationType::Token);
    assert_eq!(found.api_key, identity.api_key);
    // The keys that it makes have no rights, as those that the key itself makes.
    let written = serde_json::Map::new();
    assert!(crate::api_keys::role_descriptors(&written, &found).is_err());
    stored.info.invalidation_ms = Some(1);
    *store.api_key.lock() = Some(Arc::new(stored));
    assert!(auth.authenticate(Some(&header), None, "/").await.is_err());
    let kibana = service_account(
        "elastic/kibana".to_owned(),
        "t".to_owned(),
        "_service_account_file",
    );
    assert_eq!(auth.token_holder(&kibana).unwrap_err().status, 400);
}

fn native_ann() -> Authentication {
    let user = User {
        username: "ann".to_owned(),
        roles: Vec::new(),
        full_name: None,
        email: None,
        metadata: serde_json::Map::new(),
        enabled: true,
    };
    identity(Arc::new(user), realm_ref("native1", NATIVE))
}

/// Who sends no credentials is somebody where that is configured; who sends some that fail is not.
#[tokio::test]
async fn who_comes_without_credentials_is_let_in_where_it_may() {
    let store = Arc::new(FakeStore::default());
    store.put("ann", "secret-1", true);
    let config = AuthenticatorConfig {
        hasher: Hasher::Bcrypt { cost: 4 },
        anonymous: Some(AnonymousAccess {
            username: "guest".to_owned(),
            roles: vec!["lobby".to_owned(), "viewer".to_owned()],
        }),
        tokens: true,
        ..AuthenticatorConfig::default()
    };
    // Nobody logs in under that name, whoever had it before.
    store.put("guest", "secret-2", true);
    let authenticator = Authenticator::new(store.clone(), config);
    let guest = authenticator.authenticate(None, None, "/").await.unwrap();
    assert_eq!(guest.authentication_type, AuthenticationType::Anonymous);
    assert_eq!(
        (&*guest.user.username, &*guest.realm.name),
        ("guest", "__anonymous")
    );
    for header in [
        "",
        "Basic",
        "Negotiate x",
        "Bearer x",
        "ApiKey x",
        "Basic YW5uOndyb25n",
        "Basic Z3Vlc3Q6",
        "Basic Z3Vlc3Q6c2VjcmV0LTI=",
    ] {
        let refused = authenticator.authenticate(Some(header), None, "/").await;
        assert_eq!(refused.unwrap_err().status, 401, "{header}");
    }
    // Whom nobody knows acts as nobody, and gets no token.
    assert_eq!(authenticator.token_holder(&guest).unwrap_err().status, 400);
    assert_eq!(
        authenticator.run_as(guest, "ann", "/").unwrap_err().status,
        401
    );
    let login = format!("Basic {}", STANDARD.encode("ann:secret-1"));
    let ann = authenticator
        .authenticate(Some(&login), None, "/")
        .await
        .unwrap();
    assert_eq!(ann.user.roles, ["viewer", "lobby"]);
    let boss = authenticator.run_as(ann.clone(), "guest", "/").unwrap();
    assert!(!boss.user.enabled, "nobody acts as it");
    let header = issue(&store, &authenticator, &ann);
    let by_token = authenticator.authenticate(Some(&header), None, "/").await;
    assert_eq!(by_token.unwrap().user.roles, ["viewer", "lobby"]);
}
