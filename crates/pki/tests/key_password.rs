//! PKCS#12 files whose key has a password of its own. `keytool` makes none; Java's interface does.

mod workbench;

use std::path::PathBuf;

use ringwall_base::SecretString;
use ringwall_pki::{
    CaParams, CertificateAuthority, KeySpec, NodeCertParams, PkiError, load_keystore,
    load_keystore_with, load_truststore,
};
use workbench::{Workbench, text};

/// Takes a store, and writes its key under another password.
const PROGRAM: &str = r#"
import java.io.*;
import java.security.*;

public class Rekey {
    public static void main(String[] a) throws Exception {
        char[] store = a[2].toCharArray();
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(a[0])) { keys.load(in, store); }
        Key key = keys.getKey("instance", store);
        keys.setKeyEntry("instance", key, a[3].toCharArray(), keys.getCertificateChain("instance"));
        try (OutputStream out = new FileOutputStream(a[1])) { keys.store(out, store); }
    }
}
"#;

#[test]
fn a_key_is_opened_with_its_own_password() {
    let Some(bench) = Workbench::with("java") else {
        return;
    };
    let (store, own) = (SecretString::from("store-pw"), SecretString::from("key-pw"));
    let params = CaParams {
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    let authority = CertificateAuthority::generate(&params).unwrap();
    let params = NodeCertParams {
        key: KeySpec::EcP256,
        ..NodeCertParams::default()
    };
    let issued = authority.issue(&params).unwrap();
    let made = bench.write("made.p12", &issued.to_p12("instance", &store).unwrap());
    let program = bench.write("Rekey.java", PROGRAM.as_bytes());
    let path: PathBuf = bench.path("rekeyed.p12");
    let arguments = [
        program.as_str(),
        &made,
        text(&path),
        store.expose(),
        own.expose(),
    ];
    if bench.try_run("java", &arguments).is_none() {
        eprintln!("SKIPPED: this java does not run programs from source");
        return;
    }

    let list = [
        "-list",
        "-keystore",
        text(&path),
        "-storepass",
        store.expose(),
    ];
    let listed = bench.run("keytool", &list);
    assert!(listed.contains("PrivateKeyEntry"), "{listed}");

    let material = load_keystore_with(&path, &store, Some(&own)).unwrap();
    assert_eq!(&material.private_key, issued.key.pkcs8());
    assert_eq!(material.chain, issued.chain);
    assert_eq!(material.alias.as_deref(), Some("instance"));
    // Whom it trusts needs no key.
    let trusted = load_truststore(&path, &store).unwrap();
    assert_eq!(trusted.certs(), [authority.certificate().clone()]);
    assert!(!trusted.without_trusted_attribute);

    let none = load_keystore(&path, &store).unwrap_err().to_string();
    assert!(
        none.ends_with(
            "incorrect key-password (we tried to access the key using the same password as the keystore)"
        ),
        "{none}"
    );
    let wrong = load_keystore_with(&path, &store, Some(&"other".into())).unwrap_err();
    assert!(
        matches!(
            wrong,
            PkiError::WrongKeyPassword {
                key_password_given: true,
                ..
            }
        ),
        "{wrong}"
    );
    let swapped = load_keystore_with(&path, &own, Some(&store)).unwrap_err();
    assert!(
        matches!(swapped, PkiError::WrongPassword { .. }),
        "{swapped}"
    );
}

#[test]
fn a_key_password_that_is_not_the_keys_is_refused() {
    let params = NodeCertParams {
        key: KeySpec::EcP256,
        ..NodeCertParams::default()
    };
    let issued = ringwall_pki::self_signed(&params).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.p12");
    let store = SecretString::from("store-pw");
    std::fs::write(&path, issued.to_p12("instance", &store).unwrap()).unwrap();
    load_keystore_with(&path, &store, Some(&store)).unwrap();
    let error = load_keystore_with(&path, &store, Some(&"other".into())).unwrap_err();
    assert!(
        matches!(error, PkiError::WrongKeyPassword { .. }),
        "{error}"
    );
    assert!(!error.to_string().contains("other"), "{error}");
}
