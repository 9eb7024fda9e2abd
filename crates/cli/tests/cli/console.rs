//! `bin/kibana`: the console before a real cluster, HTTPS on both sides.

mod browser;
mod cluster_pages;
mod discover;
mod indices;
mod process;
mod security_pages;

use http::{Method, StatusCode};
use serde_json::json;

use self::browser::Browser;
use self::process::{ConsoleProcess, Site};
use crate::home::{Home, run};
use crate::running::Quickstart;

const EVIL: &str = "<script>alert(1)</script>";

/// One cluster for everything: starting it takes longest.
#[test]
fn a_secured_cluster_in_a_browser() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Quickstart::one_node(dir.path());
    set_up_users(&cluster);
    let site = Site::of(&cluster);
    let console = site.start(&[("xpack.security.login.freeFailures", "5")]);
    console.wait_for("can be used");

    the_headers_are_strict(&console);
    nobody_sees_a_page_without_login(&console);
    a_wrong_password_is_refused_and_then_waits(&console);
    a_superuser_sees_the_cluster(&console, &cluster);
    forms_of_others_are_refused(&console, &cluster);
    users_roles_and_keys_are_made(&console, &cluster);
    indices::are_made_and_deleted(&console, &cluster);
    cluster_pages::show_nodes_tasks_settings_and_shards(&console, &cluster);
    discover::finds_documents_by_query_and_time(&console, &cluster);
    security_pages::keep_mappings_tokens_and_copies(&console, &cluster);
    text_of_others_stays_text(&console, &cluster);
    who_may_not_gets_403(&console);
    sessions_end(&site, &console, &cluster);
    a_changed_password_ends_the_session(&console, &cluster);
    console.stop();

    a_wrong_ca_is_told_with_its_cure(&site, &cluster);
    no_verification_is_warned_of(&site);
    a_refused_account_is_told(&site);
    sockets_that_ask_nothing_give_way(&site);
}

fn set_up_users(cluster: &Quickstart) {
    for (name, body) in [
        (
            "ann",
            json!({"password": "ann-password", "roles": ["monitoring_only"]}),
        ),
        (
            "nobody",
            json!({"password": "nobody-password", "roles": []}),
        ),
    ] {
        let path = format!("/_security/user/{name}");
        let put = cluster.ask(0, Method::PUT, &path, Some(body));
        assert_eq!(put.status, 200, "{:?}", put.json());
    }
    let role = json!({"cluster": ["monitor"]});
    let put = cluster.ask(
        0,
        Method::PUT,
        "/_security/role/monitoring_only",
        Some(role),
    );
    assert_eq!(put.status, 200);
    let body = json!({"password": "console-password"});
    let path = "/_security/user/kibana_system/_password";
    assert_eq!(cluster.ask(0, Method::POST, path, Some(body)).status, 200);
}

fn the_headers_are_strict(console: &ConsoleProcess) {
    let mut browser = console.browser();
    for path in ["/login", "/assets/console.css", "/nothing", "/overview"] {
        let page = browser.get(path);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{policy}"
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert!(page.header("strict-transport-security").contains("max-age"));
    }
    let login = browser.get("/login");
    let cookie = login.header("set-cookie");
    for part in [
        "__Host-ringwall-login=",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
        "Path=/",
    ] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert_eq!(login.header("cache-control"), "no-store");
    // Nothing for a policy to forbid.
    assert!(!login.text.contains("<script") && !login.text.contains("style="));
}

fn nobody_sees_a_page_without_login(console: &ConsoleProcess) {
    for path in PAGES {
        let page = console.browser().get(path);
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert!(page.header("location").starts_with("/login"), "{path}");
        let forged = console
            .browser()
            .with_cookie("__Host-ringwall-session", "guess")
            .get(path);
        assert_eq!(forged.status, StatusCode::SEE_OTHER, "{path}");
    }
    assert_eq!(
        console.browser().get("/nothing").status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        console.browser().get("/logout").status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

const PAGES: &[&str] = &[
    "/",
    "/overview",
    "/discover",
    "/discover?index=one",
    "/indices",
    "/new-index",
    "/indices/one",
    "/templates",
    "/cluster",
    "/cluster/tasks",
    "/cluster/settings",
    "/cluster/allocation",
    "/certificates",
    "/users",
    "/new-user",
    "/users/ann",
    "/roles",
    "/new-role",
    "/roles/monitoring_only",
    "/role-mappings",
    "/new-role-mapping",
    "/api-keys",
    "/new-api-key",
    "/service-tokens",
    "/new-service-token",
    "/dev-tools",
    "/sessions",
];

/// Of them, those that need no right.
const OF_ALL: &[&str] = &["/", "/dev-tools", "/sessions"];

fn a_wrong_password_is_refused_and_then_waits(console: &ConsoleProcess) {
    let mut browser = console.browser();
    for _ in 0..5 {
        let page = browser.log_in("mallory", "wrong-word");
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        assert!(
            page.text
                .contains("does not know this name with this password")
        );
        assert!(!page.text.contains("wrong-word"), "{}", page.text);
    }
    // The first waits may be over before a busy machine has sent the next form; each is twice as long.
    let mut tries = (0..10).map(|_| browser.log_in("mallory", "wrong-word"));
    let page = tries
        .find(|page| page.status != StatusCode::UNAUTHORIZED)
        .unwrap();
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.header("retry-after").parse::<u64>().unwrap() >= 1);
    // Others are not held up, nor is their password tried as the name's.
    let page = console.browser().log_in("ann", "ann-password");
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    // A colon would be the end of the name.
    let page = console.browser().log_in("ann:ann-password", "");
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
}

fn superuser(console: &ConsoleProcess, cluster: &Quickstart) -> Browser {
    let mut browser = console.browser();
    let page = browser.log_in("elastic", cluster.password().expose());
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    browser
}

fn a_superuser_sees_the_cluster(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    let home = browser.get("/");
    assert_eq!(home.header("location"), "/overview");
    let page = browser.get("/overview");
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for part in [
        "node-1",
        "Primary shards",
        "curl --cacert",
        "Certificates",
        "API keys",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let password = cluster.password();
    let page = browser.get("/certificates");
    for part in [
        "xpack.security.transport.ssl",
        "xpack.security.http.ssl",
        "server.ssl",
        "Days left",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    for path in PAGES {
        let page = browser.get(path);
        assert!(
            page.status.is_success() || page.status == StatusCode::SEE_OTHER,
            "{path}: {}",
            page.text
        );
        assert!(!page.text.contains(password.expose()), "{path}");
        assert!(
            page.text.len() <= 60_000,
            "{path} has {} bytes",
            page.text.len()
        );
    }
    let page = browser.post(
        "/dev-tools",
        &[
            ("method", "GET"),
            ("path", "_cat/count?format=json"),
            ("body", ""),
        ],
    );
    assert!(
        page.text.contains("200 OK") && page.text.contains("&quot;count&quot;"),
        "{}",
        page.text
    );
    let search = r#"{"query":{"match_all":{}}}"#;
    let page = browser.post(
        "/dev-tools",
        &[("method", "POST"), ("path", "/_search"), ("body", search)],
    );
    assert!(
        page.text.contains("--data-raw &#39;{") || page.text.contains("--data-raw '{"),
        "{}",
        page.text
    );
    let page = browser.post(
        "/dev-tools",
        &[("method", "GET"), ("path", "/no-such-index"), ("body", "")],
    );
    assert!(
        page.text.contains("404 Not Found") && page.status == StatusCode::OK,
        "{}",
        page.text
    );
}

fn forms_of_others_are_refused(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    browser.get("/overview");
    let fields = [
        ("name", "planted"),
        ("password", "planted"),
        ("roles", "superuser"),
    ];
    for (token, origin) in [
        (Some("guess"), None),
        (Some(""), None),
        (None, Some("https://evil.example")),
        (None, Some("null")),
    ] {
        let page = browser.post_with("/new-user", &fields, token, origin);
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token:?} {origin:?}");
    }
    // The token of one session is none of another.
    let mut other = superuser(console, cluster);
    let token = other.get("/overview").token();
    let page = browser.post_with("/new-user", &fields, Some(&token), None);
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let found = cluster.ask(0, Method::GET, "/_security/user/planted", None);
    assert_eq!(found.status, 404);
    let page = console.browser().post_with(
        "/login",
        &[("username", "ann"), ("password", "ann-password")],
        Some("guess"),
        None,
    );
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

fn users_roles_and_keys_are_made(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    browser.get("/new-role");
    let role = r#"{"cluster":["monitor"],"indices":[{"names":["*"],"privileges":["read"]}]}"#;
    browser
        .post("/new-role", &[("name", "reader"), ("definition", role)])
        .goes_to("/roles");
    let page = browser.post("/new-role", &[("name", "reader"), ("definition", role)]);
    assert_eq!(page.status, StatusCode::CONFLICT);
    let page = browser.post("/new-role", &[("name", "broken"), ("definition", "{")]);
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let bob = [
        ("name", "bob/.."),
        ("password", "bob-password"),
        ("roles", "reader, monitoring_only"),
    ];
    browser.post("/new-user", &bob).goes_to("/users");
    let page = browser.get("/users?q=BOB");
    assert!(
        page.text.contains("bob/..") && !page.text.contains("kibana_system"),
        "{}",
        page.text
    );
    assert!(page.text.contains("has been created"));
    let place = "/users/bob%2F..";
    assert!(browser.get(place).text.contains("reader, monitoring_only"));
    browser
        .post(
            &format!("{place}/password"),
            &[("password", "bob-password-2")],
        )
        .goes_to(place);
    assert_eq!(
        console.browser().log_in("bob/..", "bob-password-2").status,
        StatusCode::SEE_OTHER
    );
    browser
        .post(&format!("{place}/disable"), &[])
        .goes_to(place);
    assert_eq!(
        console.browser().log_in("bob/..", "bob-password-2").status,
        StatusCode::UNAUTHORIZED
    );
    let page = browser.post(&format!("{place}/delete"), &[("confirm", "bob")]);
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    browser
        .post(&format!("{place}/delete"), &[("confirm", "bob/..")])
        .goes_to("/users");

    let page = browser.post(
        "/new-api-key",
        &[("name", "shipper"), ("expiration", "1d"), ("roles", "")],
    );
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let encoded = page.between("ApiKey ", "<");
    let id = page.between("&quot;id&quot;:&quot;", "&quot;");
    let asked = cluster.ask_with(&format!("ApiKey {encoded}"), "/_security/_authenticate");
    assert_eq!(asked.status, 200);
    let list = browser.get("/api-keys");
    assert!(list.text.contains("shipper") && !list.text.contains(&encoded));
    browser
        .post("/api-keys/invalidate", &[("id", &id)])
        .goes_to("/api-keys");
    let asked = cluster.ask_with(&format!("ApiKey {encoded}"), "/_security/_authenticate");
    assert_eq!(asked.status, 401);
    let page = browser.post("/api-keys/invalidate", &[("id", "unknown")]);
    assert_eq!(page.status, StatusCode::CONFLICT);
}

fn text_of_others_stays_text(console: &ConsoleProcess, cluster: &Quickstart) {
    let body = json!({"password": "x-password", "roles": [EVIL], "full_name": EVIL, "email": EVIL});
    let put = cluster.ask(0, Method::PUT, "/_security/user/planted", Some(body));
    assert_eq!(put.status, 200, "{:?}", put.json());
    let mut browser = superuser(console, cluster);
    let key = [("name", EVIL), ("expiration", ""), ("roles", "")];
    browser.get("/api-keys");
    let made = browser.post("/new-api-key", &key);
    let answer = [
        ("method", "GET"),
        ("path", "/_security/user/planted"),
        ("body", EVIL),
    ];
    let sent = browser.post("/dev-tools", &answer);
    let login = console.browser().log_in(EVIL, EVIL);
    let next = console
        .browser()
        .get("/login?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    let user = browser.get("/users/planted");
    let filter = browser.get("/users?q=%3Cscript%3Ealert(1)%3C/script%3E");
    let list = browser.get("/users");
    for (name, page) in [
        ("key", made),
        ("keys", browser.get("/api-keys")),
        ("tools", sent),
        ("login", login),
        ("next", next),
        ("user", user),
        ("filter", filter),
        ("users", list),
    ] {
        assert!(
            page.text.contains("&lt;script&gt;"),
            "{name}: {}",
            page.text
        );
        assert!(!page.text.contains("<script"), "{name}: {}", page.text);
    }
}

fn who_may_not_gets_403(console: &ConsoleProcess) {
    let mut ann = console.browser();
    ann.log_in("ann", "ann-password").goes_to("/");
    let page = ann.get("/overview");
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("href=\"/users\"") && !page.text.contains("href=\"/roles\""));
    let mut nobody = console.browser();
    nobody.log_in("nobody", "nobody-password").goes_to("/");
    for path in [
        "/users",
        "/users/ann",
        "/roles",
        "/role-mappings",
        "/api-keys",
        "/service-tokens",
        "/indices",
        "/indices/one",
    ] {
        let page = ann.get(path);
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}: {}", page.text);
        assert!(
            page.text.contains("is unauthorized for user [ann]"),
            "{}",
            page.text
        );
    }
    for path in ["/cluster/allocation", "/discover", "/new-user"] {
        let page = ann.get(path);
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}: {}", page.text);
        assert!(
            page.text.contains("None of your roles has"),
            "{}",
            page.text
        );
    }
    for path in PAGES.iter().filter(|path| !OF_ALL.contains(path)) {
        assert_eq!(nobody.get(path).status, StatusCode::FORBIDDEN, "{path}");
    }
    nobody.get("/").goes_to("/dev-tools");
    let page = nobody.get("/dev-tools");
    for path in PAGES.iter().filter(|path| !OF_ALL.contains(path)) {
        let link = format!("href=\"{path}\"");
        assert!(!page.text.contains(&link), "{link} in {}", page.text);
    }
    ann.get("/dev-tools");
    let page = ann.post(
        "/new-user",
        &[("name", "eve"), ("password", "eve-password"), ("roles", "")],
    );
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
}

fn sessions_end(site: &Site, console: &ConsoleProcess, cluster: &Quickstart) {
    let (mut first, mut second) = (superuser(console, cluster), superuser(console, cluster));
    let mut ann = console.browser();
    ann.log_in("ann", "ann-password").goes_to("/");
    let kept = first.cookie("__Host-ringwall-session");
    first.get("/overview");
    first.post("/logout", &[("all", "false")]).goes_to("/login");
    assert_eq!(first.get("/overview").status, StatusCode::SEE_OTHER);
    // The cookie of a session that ended opens nothing.
    let replayed = console
        .browser()
        .with_cookie("__Host-ringwall-session", &kept)
        .get("/overview");
    assert_eq!(replayed.status, StatusCode::SEE_OTHER);
    assert_eq!(second.get("/overview").status, StatusCode::OK);
    sessions_are_listed_and_ended(console, cluster);
    let mut third = superuser(console, cluster);
    third.get("/overview");
    third.post("/logout", &[("all", "true")]).goes_to("/login");
    assert_eq!(second.get("/overview").status, StatusCode::SEE_OTHER);
    assert_eq!(ann.get("/overview").status, StatusCode::OK);
    let brief = site.start(&[("xpack.security.session.lifespan", "1ms")]);
    let mut browser = brief.browser();
    browser.log_in("ann", "ann-password").goes_to("/");
    assert!(
        browser
            .get("/overview")
            .header("location")
            .starts_with("/login?next=%2Foverview")
    );
    brief.stop();
}

/// Of one user, by each of them; those of another are not there.
fn sessions_are_listed_and_ended(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut ann = console.browser();
    ann.log_in("ann", "ann-password").goes_to("/");
    let (mut here, mut there) = (superuser(console, cluster), superuser(console, cluster));
    let page = here.get("/sessions");
    let ended = page.between("name=\"session\" value=\"", "\"");
    assert!(page.text.contains("this one"), "{}", page.text);
    for secret in [&here, &there].map(|browser| browser.cookie("__Host-ringwall-session")) {
        assert!(!page.text.contains(&secret));
    }
    // It was used last before this one.
    ann.get("/sessions");
    let page = ann.post("/sessions/end", &[("session", &ended)]);
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    here.post("/sessions/end", &[("session", &ended)])
        .goes_to("/sessions");
    assert_eq!(there.get("/overview").status, StatusCode::SEE_OTHER);
    assert_eq!(here.get("/overview").status, StatusCode::OK);
}

fn a_changed_password_ends_the_session(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut ann = console.browser();
    ann.log_in("ann", "ann-password").goes_to("/");
    assert_eq!(ann.get("/overview").status, StatusCode::OK);
    let body = json!({"password": "another-password"});
    let put = cluster.ask(0, Method::POST, "/_security/user/ann/_password", Some(body));
    assert_eq!(put.status, 200);
    assert_eq!(ann.get("/overview").status, StatusCode::SEE_OTHER);
    ann.log_in("ann", "another-password").goes_to("/");
}

fn a_wrong_ca_is_told_with_its_cure(site: &Site, cluster: &Quickstart) {
    // Towards the cluster: on the page and in the log.
    let console = site.start(&[("elasticsearch.ssl.certificateAuthorities", "other-ca.pem")]);
    let log = console.wait_for("the cluster cannot be reached");
    let page = console.browser().get("/login");
    for told in [&log, &page.text] {
        assert!(told.contains("append its certificate to"), "{told}");
        assert!(told.contains("other-ca.pem"), "{told}");
    }
    assert!(!page.text.contains("this node"), "{}", page.text);
    let page = console
        .browser()
        .log_in("elastic", cluster.password().expose());
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(
        page.text.contains("append its certificate to"),
        "{}",
        page.text
    );
    // Towards the browser: in the log.
    let error = console.try_trusting("other-ca.pem").unwrap_err();
    assert!(error.contains("other-ca.pem"), "{error}");
    console.wait_for("let the client trust the CA");
    // Whoever talks HTTP is told.
    let said = console.plain_get();
    assert!(
        said.starts_with("HTTP/1.1 400") && said.contains("use https://"),
        "{said}"
    );
    console.stop();
}

fn no_verification_is_warned_of(site: &Site) {
    let console = site.start(&[("elasticsearch.ssl.verificationMode", "none")]);
    let mut browser = console.browser();
    let page = browser.log_in("ann", "another-password");
    page.goes_to("/");
    for page in [browser.get("/overview"), console.browser().get("/login")] {
        assert!(page.text.contains("is not verified"), "{}", page.text);
    }
    console.stop();
}

fn a_refused_account_is_told(site: &Site) {
    let console = site.start(&[("elasticsearch.password", "not-it")]);
    console.wait_for("the cluster refuses the user [kibana_system]");
    let page = console.browser().get("/login");
    assert!(
        page.text
            .contains("the cluster refuses the user [kibana_system]"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("not-it"));
    console
        .browser()
        .log_in("ann", "another-password")
        .goes_to("/");
    console.stop();
}

fn sockets_that_ask_nothing_give_way(site: &Site) {
    let console = site.start(&[("server.maxConnections", "4")]);
    let idle: Vec<_> = (0..12).map(|_| console.connect()).collect();
    let page = console.browser().get("/login");
    assert!(page.text.contains("assword"), "{}", page.text);
    drop(idle);
    console.stop();
}

#[test]
fn a_mistake_in_kibana_yml_is_told_with_the_nearest_name() {
    let home = Home::new();
    let yml = home.path().join("config/kibana.yml");
    std::fs::write(
        &yml,
        "server.prot: 5602\nelasticsearch.hosts: [ \"https://es01:9200\" ]\n",
    )
    .unwrap();
    let outcome = run(&mut home.tool("kibana"), "");
    assert_eq!(outcome.status, 78, "{outcome:?}");
    for part in ["kibana.yml:1", "[server.prot]", "[server.port,"] {
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
    std::fs::remove_file(&yml).unwrap();
    let outcome = run(&mut home.tool("kibana"), "");
    assert!(outcome.stderr.contains("KBN_PATH_CONF"), "{outcome:?}");
}

#[test]
fn the_keystore_of_the_console_is_its_own() {
    let home = Home::new();
    let tool = |arguments: &[&str], stdin: &str| {
        let mut command = home.tool("kibana-keystore");
        run(command.args(arguments), stdin)
    };
    let said = tool(&["create"], "").quiet();
    assert!(said.contains("Created Kibana keystore in"), "{said}");
    tool(&["add", "-x", "elasticsearch.password"], "secret\n").quiet();
    let odd = tool(&["add", "-x", "elasticsearch.pasword"], "secret\n");
    assert!(
        odd.stderr
            .contains("Did you mean [elasticsearch.password]?"),
        "{odd:?}"
    );
    assert!(
        tool(&["list"], "")
            .stdout
            .contains("elasticsearch.password\n")
    );
    tool(&["remove", "elasticsearch.pasword"], "").quiet();
    assert!(home.path().join("config/kibana.keystore").is_file());
    assert!(!home.keystore_file().exists());
}
