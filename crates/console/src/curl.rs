//! A request as a command that can be pasted into a shell.

use ringwall_tls::TrustSource;

use crate::cluster::{Call, Cluster};

/// Returns the command line. The password is asked for when it runs: it is in no page.
pub fn command(cluster: &Cluster, user: &str, call: &Call) -> String {
    let mut line = String::from("curl");
    match cluster.tls().map(|tls| tls.config().trust.clone()) {
        Some(TrustSource::Pem(files)) if !cluster.config().is_unverified() => {
            let files = files.iter().take(1);
            for file in files {
                line.push_str(&format!(
                    " --cacert {}",
                    quoted(&file.resolved.display().to_string())
                ));
            }
        }
        Some(_) if cluster.config().is_unverified() => line.push_str(" --insecure"),
        _ => {}
    }
    line.push_str(&format!(" -u {}", quoted(user)));
    if call.method != http::Method::GET {
        line.push_str(&format!(" -X {}", call.method));
    }
    let url = format!("{}{}", cluster.shown_url(), call.path);
    line.push_str(&format!(" {}", quoted(&url)));
    if !call.body.is_empty() {
        if call.method == http::Method::GET {
            line.push_str(" -X GET");
        }
        line.push_str(" -H 'Content-Type: application/json'");
        // Not `--data`: a leading @ would name a file.
        line.push_str(&format!(" --data-raw {}", quoted(&call.body)));
    }
    line
}

/// Quotes a word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_quoted_word() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("a'; rm -rf ~ #"), r"'a'\''; rm -rf ~ #'");
    }
}
