//! The receipt: written down, checked with OpenSSL's help and ours, and changed by one byte.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_proto::{
    envelope::pre_authentication_encoding,
    key::VerificationKey,
    receipt::{self, Expected},
    statement::{DetailKind, Envelope, Receipt},
};
use data_encoding::BASE64;

use super::{
    columns::{Line, Style},
    error::DemoError,
    terminal::Terminal,
};

/// RFC 8410: a SubjectPublicKeyInfo of Ed25519 is this and the 32 bytes of the key.
const ED25519_KEY_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Checks the signature where the files lie.
const OPENSSL: &str =
    "openssl pkeyutl -verify -pubin -inkey device.pem -rawin -in decision.signed -sigfile decision.sig";

/// Writes the receipt and its parts into `directory`, checks it, changes it, and checks it again.
/// Returns the directory as it is printed.
pub(super) fn play(
    terminal: &Terminal,
    directory: &Path,
    server_id: &str,
    receipt: &Receipt,
) -> Result<PathBuf, DemoError> {
    terminal.heading("The receipt of the approved login");
    let verified = receipt::verify(receipt, server_id, &Expected::default())?;
    let binding = verified.by.binding().ok_or(DemoError::Incomplete("binding"))?;
    let key = VerificationKey::from_wire(binding.public_key.as_ref()).expect("it was verified");
    let decision = receipt.decision.as_ref().ok_or(DemoError::Incomplete("decision"))?;
    let files = Files::create(directory)?;
    files.write("receipt.json", json(receipt).as_bytes())?;
    files.write("decision.signed", &signed_bytes(decision))?;
    files.write("decision.sig", decision.signatures.first().map_or(&[][..], |signature| &signature.sig))?;
    files.write("device.pem", pem(key).as_bytes())?;
    terminal.say(Style::Plain, "It lies beside what the phone signed, the signature and the phone's key, in");
    terminal.command(&files.directory.display().to_string());
    terminal.space();
    terminal.say(Style::Plain, "OpenSSL checks the phone's signature there, with no code of ours:");
    terminal.command(OPENSSL);
    terminal.space();
    terminal.say(Style::Plain, "The whole receipt, checked from nothing but the server's id:");
    for line in verified.to_string().lines() {
        // Its facts stand behind labels of this width.
        let indent = if line.starts_with(' ') { 15 } else { 0 };
        terminal.print(&Line::new(Style::Good, line).with_indent(indent));
    }
    terminal.space();

    let (changed, from, to) = with_another_address(receipt, &verified)?;
    files.write("receipt-changed.json", json(&changed).as_bytes())?;
    terminal.say(
        Style::Plain,
        &format!("Now one byte of the address that was shown: {from} becomes {to} (receipt-changed.json):"),
    );
    match receipt::verify(&changed, server_id, &Expected::default()) {
        Err(refusal) => terminal.say(Style::Bad, &format!("REFUSED: {refusal}")),
        Ok(_) => {
            return Err(DemoError::Unexpected {
                what: "the changed receipt",
                expected: "a refusal".to_owned(),
                found: "that it is taken".to_owned(),
            });
        }
    }
    Ok(files.directory)
}

/// The directory that all is written into.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn create(directory: &Path) -> Result<Self, DemoError> {
        fs::create_dir_all(directory).map_err(DemoError::file(directory))?;
        let directory = directory.canonicalize().map_err(DemoError::file(directory))?;
        Ok(Self { directory })
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), DemoError> {
        let path = self.directory.join(name);
        fs::write(&path, content).map_err(DemoError::file(path))
    }
}

fn json(receipt: &Receipt) -> String {
    let mut text = serde_json::to_string_pretty(receipt).expect("a receipt can be written as JSON");
    text.push('\n');
    text
}

fn signed_bytes(envelope: &Envelope) -> Vec<u8> {
    pre_authentication_encoding(&envelope.payload_type, &envelope.payload)
}

fn pem(key: VerificationKey) -> String {
    let info = [&ED25519_KEY_INFO[..], &key.to_bytes()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&info))
}

/// The receipt with another last digit in the address that the phone showed; and both addresses.
fn with_another_address(
    receipt: &Receipt,
    verified: &receipt::VerifiedReceipt,
) -> Result<(Receipt, String, String), DemoError> {
    let missing = || DemoError::Incomplete("IP address that was shown");
    let details = &verified.challenge.details;
    let from =
        &details.iter().find(|detail| detail.kind() == DetailKind::IpAddress).ok_or_else(missing)?.value;
    let mut changed = receipt.clone();
    let payload = &mut changed.challenge.as_mut().ok_or_else(missing)?.payload;
    let start = payload.windows(from.len()).position(|bytes| bytes == from.as_bytes()).ok_or_else(missing)?;
    let last = payload.get_mut(start + from.len() - 1).ok_or_else(missing)?;
    *last = if *last == b'9' { b'8' } else { *last + 1 };
    let to = format!("{}{}", &from[..from.len() - 1], char::from(*last));
    Ok((changed, from.clone(), to))
}
