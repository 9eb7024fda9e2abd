//! The tools of a node whose HTTPS trusts the CA of its users and not its own.

use super::bench::{Bench, authority};
use crate::home::run;

#[test]
fn users_with_certificates_leave_the_tools_of_the_node_at_work() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let users = authority("Users");
    std::fs::write(bench.config("users.crt"), users.certificate_pem()).unwrap();
    let yml = std::fs::read_to_string(bench.config("elasticsearch.yml")).unwrap();
    let http = "xpack.security.http.ssl";
    let trust = format!("{http}.certificate_authorities: ca.crt");
    assert!(yml.contains(&trust));
    let users_only = format!(
        "{http}.certificate_authorities: users.crt\n{http}.client_authentication: optional\n\
         xpack.security.authc.realms.pki.users.order: 1"
    );
    bench.set_yml(&yml.replace(&trust, &users_only));
    let node = bench.start(&[]);
    let reset = |home: &Bench| {
        let mut command = home.home.tool("elasticsearch-reset-password");
        run(
            command.args(["-u", "elastic", "-b", "-s", "--url", &node.https]),
            "",
        )
    };
    let printed = reset(&bench).quiet();
    assert_eq!(printed.trim_end().len(), 20, "{printed}");
    let found = bench.doctor(&["--peer", &node.https]);
    found.is(0, "ok");

    // Another CA is not trusted for that, and the advice is not to take it among those of the users only.
    let stranger = Bench::new(&authority("Stranger"), |_| {});
    let refused = reset(&stranger);
    assert_ne!(refused.status, 0, "{refused:?}");
    let told = format!("{}{}", refused.stdout, refused.stderr);
    assert!(told.contains("or to the certificate chain in"), "{told}");
}
