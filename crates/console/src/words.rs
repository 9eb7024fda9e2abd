//! TLS diagnoses in the words of `kibana.yml`.

/// Returns a sentence of the TLS crate with the names that the console's settings have.
pub fn of_console(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (node, console)| {
        text.replace(node, console)
    })
}

/// What a node calls it, and what the console does. Longer names first.
const NAMES: &[(&str, &str)] = &[
    (".secure_key_passphrase", ".keyPassphrase"),
    (".key_passphrase", ".keyPassphrase"),
    (".keystore.secure_password", ".keystore.password"),
    (".truststore.secure_password", ".truststore.password"),
    (".certificate_authorities", ".certificateAuthorities"),
    (".client_authentication", ".clientAuthentication"),
    (".verification_mode", ".verificationMode"),
    (".supported_protocols", ".supportedProtocols"),
    (".cipher_suites", ".cipherSuites"),
    ("`elasticsearch-keystore ", "`kibana-keystore "),
    ("this node", "this console"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_setting_is_one_of_the_console() {
        for (_, console) in NAMES.iter().filter(|(node, _)| node.starts_with('.')) {
            let known = ["server.ssl", "elasticsearch.ssl"].map(|side| format!("{side}{console}"));
            let is_known = known
                .iter()
                .any(|key| ringwall_settings::console::registry::find(key).is_some());
            assert!(is_known, "{console}");
        }
        let said =
            of_console("if this node is to trust it, set [elasticsearch.ssl.verification_mode]");
        assert_eq!(
            said,
            "if this console is to trust it, set [elasticsearch.ssl.verificationMode]"
        );
    }
}
