//! What this machine is called.

/// Returns the default node name: the environment variable `HOSTNAME`, else the name the kernel
/// knows. Never empty. Source: Elasticsearch reference, "Important Elasticsearch configuration" (`node.name`).
pub fn name() -> String {
    choose_name(
        std::env::var("HOSTNAME").ok(),
        &rustix::system::uname().nodename().to_string_lossy(),
    )
}

fn choose_name(environment: Option<String>, kernel: &str) -> String {
    let candidates = [environment.as_deref().unwrap_or_default(), kernel];
    let known = candidates
        .into_iter()
        .map(str::trim)
        .find(|name| !name.is_empty() && *name != "(none)");
    known.unwrap_or("localhost").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_wins_and_the_name_is_never_empty() {
        assert_eq!(choose_name(Some("es01.lan".into()), "vm"), "es01.lan");
        assert_eq!(choose_name(Some(" ".into()), "vm"), "vm");
        assert_eq!(choose_name(None, ""), "localhost");
        assert_eq!(choose_name(None, "(none)"), "localhost");
        assert!(!name().is_empty());
    }
}
