//! A second opinion: OpenSSL checks every signature of the vectors, and refuses each that was changed.

use std::{
    env, fs,
    io::{ErrorKind, Write as _, stderr},
    path::Path,
    process::{Command, Output},
};

use data_encoding::BASE64;

use crate::vectors::{self, unhex};

/// What precedes the 32 bytes in an Ed25519 `SubjectPublicKeyInfo` (RFC 8410, section 4).
const KEY_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[test]
fn openssl_takes_every_signature_and_none_that_was_changed() {
    match Command::new("openssl").arg("version").output() {
        Ok(output) => assert!(output.status.success(), "`openssl version` failed"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Not `eprintln!`, which the test harness keeps to itself when a test passes.
            writeln!(stderr(), "NOT CHECKED: there is no `openssl` here to check the signatures with")
                .expect("standard error can be written");
            assert!(env::var_os("CI").is_none(), "in CI the signatures must be checked with `openssl`");
            return;
        }
        Err(error) => panic!("`openssl` cannot be started: {error}"),
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let statements = vectors::accepted_statements();
    assert!(!statements.is_empty());
    for statement in statements {
        let name = statement.name;
        let (key, message) = (unhex(&statement.public_key), unhex(&statement.pae));
        let signature = unhex(&statement.signature);
        let good = verify(directory.path(), &key, &message, &signature);
        assert!(good.status.success(), "{name}: {}", String::from_utf8_lossy(&good.stderr));

        let mut changed = signature.clone();
        changed[7] ^= 1;
        assert!(is_refused(&verify(directory.path(), &key, &message, &changed)), "{name}: signature changed");
        let mut changed = message;
        *changed.last_mut().expect("a message") ^= 1;
        assert!(is_refused(&verify(directory.path(), &key, &changed, &signature)), "{name}: message changed");
    }
}

/// Refused for the signature, and not because something else went wrong.
fn is_refused(output: &Output) -> bool {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    !output.status.success() && String::from_utf8_lossy(&said).contains("Signature Verification Failure")
}

fn verify(directory: &Path, key: &[u8], message: &[u8], signature: &[u8]) -> Output {
    let key = BASE64.encode(&[&KEY_INFO, key].concat());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
    for (file, content) in [("key.pem", pem.as_bytes()), ("message", message), ("signature", signature)] {
        fs::write(directory.join(file), content).expect("the temporary directory can be written");
    }
    Command::new("openssl")
        .args(["pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"])
        .args(["-sigfile", "signature"])
        .current_dir(directory)
        .output()
        .expect("`openssl` was there a moment ago")
}
