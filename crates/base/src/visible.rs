//! Characters that a name should not have, because a person cannot see them or reads the name otherwise than it is.

/// Returns the first character of a name that is a control character, changes the direction of writing, ends a line,
/// looks like a blank, or is not shown at all. The blank itself is none of these.
///
/// Source: Unicode 16, `Cc`, `Cf`, `Zl`, `Zp`, `White_Space` and `Default_Ignorable_Code_Point`, and noncharacters.
pub fn unseen_character(name: &str) -> Option<char> {
    name.chars().find(|c| is_unseen(*c))
}

/// Returns a name with such characters written as `U+202E`, for errors and logs.
pub fn shown(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        match is_unseen(c) {
            true => shown.push_str(&format!("<U+{:04X}>", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown
}

fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let code = u32::from(c);
    let is_listed = UNSEEN
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&code));
    c.is_control() || c.is_whitespace() || is_listed || code & 0xfffe == 0xfffe
}

/// First and last of each range.
const UNSEEN: &[(u32, u32)] = &[
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xfdd0, 0xfdef),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_found() {
        for c in [
            '\0',
            '\n',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fffe}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{10ffff}',
        ] {
            let name = format!("logs{c}2026");
            assert_eq!(unseen_character(&name), Some(c), "{c:?}");
            let shown = shown(&name);
            assert_eq!(unseen_character(&shown), None, "{shown}");
            assert!(
                shown.starts_with("logs<U+") && shown.ends_with(">2026"),
                "{shown}"
            );
        }
        for name in [
            "logs-2026.11",
            "a b",
            "café",
            "日誌",
            "журнал",
            "يوميات",
            "लॉग",
            "🦀",
            "~!@",
        ] {
            assert_eq!(unseen_character(name), None, "{name}");
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn the_ranges_are_in_order() {
        assert!(UNSEEN.iter().all(|(first, last)| first <= last));
        assert!(UNSEEN.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
