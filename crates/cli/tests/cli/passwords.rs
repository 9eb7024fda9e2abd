//! `elasticsearch-setup-passwords` and `elasticsearch-reset-password` against a real node.

use std::process::Command;

use http::{Method, StatusCode};
use ringwall_base::SecretString;
use serde_json::json;

use crate::home::{Home, Outcome, run};
use crate::running::Quickstart;

/// Runs a tool of the first node.
fn tool(cluster: &Quickstart, name: &str, arguments: &[&str], stdin: &str) -> Outcome {
    let mut command = Command::new(cluster.home(0).join("bin").join(name));
    command
        .env_remove("ES_HOME")
        .env_remove("ES_PATH_CONF")
        .args(arguments);
    run(&mut command, stdin)
}

fn status(cluster: &Quickstart, user: &str, password: &SecretString) -> StatusCode {
    let path = "/_security/_authenticate";
    cluster
        .ask_as(user, password, 0, Method::GET, path, None)
        .status
}

#[test]
fn passwords_are_set_up_once_and_reset_as_often_as_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Quickstart::one_node(dir.path());
    let (setup, reset) = (
        "elasticsearch-setup-passwords",
        "elasticsearch-reset-password",
    );

    // The user decides against it: nothing happens.
    let declined = tool(&cluster, setup, &["auto"], "n\n");
    assert_eq!(declined.status, 0, "{declined:?}");
    assert!(
        declined.stderr.contains("ERROR: User cancelled operation"),
        "{declined:?}"
    );
    assert_eq!(
        status(&cluster, "elastic", &cluster.password()),
        StatusCode::OK
    );

    let set = tool(&cluster, setup, &["auto", "-b"], "").quiet();
    assert_eq!(set.matches("\nPASSWORD ").count(), 7, "{set}");
    let password_of = |user: &str| {
        let prefix = format!("PASSWORD {user} = ");
        let line = set
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap();
        SecretString::from(line)
    };
    assert_eq!(password_of("kibana"), password_of("kibana_system"));
    for user in ["elastic", "kibana_system", "remote_monitoring_user"] {
        assert_eq!(
            status(&cluster, user, &password_of(user)),
            StatusCode::OK,
            "{user}"
        );
    }
    assert_eq!(
        status(&cluster, "elastic", &cluster.password()),
        StatusCode::UNAUTHORIZED
    );

    // The first password is gone for good.
    let again = tool(&cluster, setup, &["auto", "-b"], "");
    assert_eq!(again.status, 78, "{again:?}");
    assert!(
        again
            .stderr
            .contains("ERROR: Failed to verify bootstrap password"),
        "{again:?}"
    );
    // By the node's files of users it is, for who may write there; nothing is left of it.
    let printed = tool(&cluster, reset, &["-u", "elastic", "-b", "-s"], "").quiet();
    let elastic = SecretString::from(printed.trim_end());
    assert_eq!(status(&cluster, "elastic", &elastic), StatusCode::OK);
    for file in ["users", "users_roles"] {
        let path = cluster.home(0).join("config").join(file);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "", "{file}");
    }

    // With the current one a native user's and one's own can be reset.
    let jo = json!({"password": "first-password", "roles": ["viewer"]});
    let path = "/_security/user/jo";
    let made = cluster.ask_as("elastic", &elastic, 0, Method::PUT, path, Some(jo));
    assert_eq!(made.status, StatusCode::OK);
    let current = format!("{}\n", elastic.expose());
    let chosen = format!("{current}y\nshort\nlong-enough\nlong-enough\n");
    let outcome = tool(
        &cluster,
        reset,
        &["-u", "jo", "-i", "--password-stdin"],
        &chosen,
    );
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("Password for the [jo] user successfully reset.")
    );
    assert_eq!(
        status(&cluster, "jo", &"long-enough".into()),
        StatusCode::OK
    );

    let arguments = ["-u", "elastic", "-b", "-s", "--password-stdin"];
    let printed = tool(&cluster, reset, &arguments, &current).quiet();
    let new = SecretString::from(printed.trim_end());
    assert_eq!(new.char_count(), 20);
    assert_eq!(status(&cluster, "elastic", &new), StatusCode::OK);
    assert_eq!(
        status(&cluster, "elastic", &elastic),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn a_first_password_resets_itself() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Quickstart::one_node(dir.path());
    let outcome = tool(
        &cluster,
        "elasticsearch-reset-password",
        &["-u", "elastic"],
        "y\n",
    );
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let new = outcome
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("New value: "))
        .unwrap();
    assert_eq!(status(&cluster, "elastic", &new.into()), StatusCode::OK);

    let unknown = tool(
        &cluster,
        "elasticsearch-reset-password",
        &["-b", "-u", "nobody", "--password-stdin"],
        &format!("{new}\n"),
    );
    assert_eq!(unknown.status, 75, "{unknown:?}");
    assert!(
        unknown
            .stderr
            .contains("ERROR: Failed to reset password for the [nobody] user")
    );
}

#[test]
fn without_a_running_node_the_tools_say_so() {
    let home = Home::new();
    let setup = |arguments: &[&str]| {
        let mut command = home.tool("elasticsearch-setup-passwords");
        run(command.args(arguments), "")
    };
    let missing = setup(&["auto", "-b"]);
    assert_eq!(missing.status, 78, "{missing:?}");
    assert!(
        missing
            .stderr
            .contains("Elasticsearch keystore file is missing ["),
        "{missing:?}"
    );

    home.keystore(&["create"], "").quiet();
    // Bound and closed: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let unreachable = setup(&["auto", "-b", "--url", &url]);
    assert_eq!(unreachable.status, 78, "{unreachable:?}");
    let message = format!("ERROR: Failed to connect to elasticsearch at {url}. Is the URL correct");
    assert!(unreachable.stderr.contains(&message), "{unreachable:?}");

    let mut command = home.tool("elasticsearch-reset-password");
    let outcome = run(command.args(["-b", "-u", "elastic", "--url", &url]), "");
    assert_eq!(outcome.status, 69, "{outcome:?}");

    let mut command = home.tool("elasticsearch-reset-password");
    let both = run(command.args(["-u", "elastic", "-a", "-i"]), "");
    assert_eq!(both.status, 64, "{both:?}");
    assert!(
        both.stderr
            .contains("in one of [auto] or [interactive] modes"),
        "{both:?}"
    );

    std::fs::write(
        home.path().join("config/elasticsearch.yml"),
        "xpack.security.enabled: false\n",
    )
    .unwrap();
    let off = setup(&["auto", "-b", "--url", &url]);
    assert!(
        off.stderr
            .contains("X-Pack Security is disabled by configuration."),
        "{off:?}"
    );
}
