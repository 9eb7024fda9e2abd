//! The files `users`, `users_roles` and `service_tokens`: what is read is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwall_security::files::{ServiceTokensFile, UsersFile, UsersRolesFile};

fuzz_target!(|text: &str| {
    let written = UsersFile::parse(text).0.render();
    assert_eq!(UsersFile::parse(&written).0.render(), written);
    let written = UsersRolesFile::parse(text).0.render();
    assert_eq!(UsersRolesFile::parse(&written).0.render(), written);
    let written = ServiceTokensFile::parse(text).0.render();
    assert_eq!(ServiceTokensFile::parse(&written).0.render(), written);
});
