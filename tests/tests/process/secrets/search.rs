//! Looking for secrets in a text, in each form that they might be printed in.

use std::fmt;

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// What is looked for.
#[derive(Default)]
pub(super) struct Secrets(Vec<Secret>);

/// One secret.
struct Secret {
    name: String,
    kind: Kind,
}

enum Kind {
    Bytes(Vec<u8>),
    /// Too few digits to be nowhere by chance as a part of a longer number.
    Digits(String),
}

/// A secret that stands in a text.
pub(super) struct Found<'a> {
    secret: &'a Secret,
    form: &'static str,
    line: String,
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}: {}", self.secret.name, self.form, self.line)
    }
}

impl Secrets {
    pub(super) fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 8, "{name} is too short to be looked for");
        self.0.push(Secret { name: name.to_owned(), kind: Kind::Bytes(bytes.to_vec()) });
    }

    pub(super) fn add_text(&mut self, name: &str, text: &str) {
        self.add_bytes(name, text.as_bytes());
    }

    /// A code of six digits.
    pub(super) fn add_digits(&mut self, name: &str, digits: &str) {
        assert_eq!(digits.len(), 6, "{name} would be found by chance");
        self.0.push(Secret { name: name.to_owned(), kind: Kind::Digits(digits.to_owned()) });
    }

    /// Each secret that stands in the text, with the first line that shows it.
    pub(super) fn found_in(&self, text: &str) -> Vec<Found<'_>> {
        let text: Vec<_> = text.lines().map(without_time).collect();
        let text = text.join("\n");
        self.0.iter().filter_map(|secret| secret.found_in(&text)).collect()
    }

    /// Plants each form of each secret amidst the first lines of the text, and searches.
    pub(super) fn assert_found_when_planted_in(&self, text: &str) {
        let lines: Vec<_> = text.lines().map(without_time).take(20).collect();
        let (before, after) = (lines[..10].join("\n"), lines[10..].join("\n"));
        for secret in &self.0 {
            for (form, planted) in secret.forms() {
                let text = format!("{before}\n TRACE h2: x=\"{planted}\"\n{after}");
                assert!(secret.found_in(&text).is_some(), "{} is not found as {form}", secret.name);
            }
        }
    }
}

impl Secret {
    fn forms(&self) -> Vec<(&'static str, String)> {
        match &self.kind {
            Kind::Digits(digits) => vec![("digits", digits.clone())],
            Kind::Bytes(bytes) => forms(bytes),
        }
    }

    fn found_in(&self, text: &str) -> Option<Found<'_>> {
        self.forms().into_iter().find_map(|(form, shape)| {
            let at = self.position(text, &shape)?;
            let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let line = text[start..].lines().next().unwrap_or_default().to_owned();
            Some(Found { secret: self, form, line })
        })
    }

    fn position(&self, text: &str, form: &str) -> Option<usize> {
        match self.kind {
            Kind::Bytes(_) => text.find(form),
            Kind::Digits(_) => {
                let is_part = |c: char| c.is_ascii_alphanumeric();
                let is_whole = |at: usize| {
                    !text[..at].ends_with(is_part) && !text[at + form.len()..].starts_with(is_part)
                };
                text.match_indices(form).map(|(at, _)| at).find(|at| is_whole(*at))
            }
        }
    }
}

fn forms(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let debug = format!("{:?}", Bytes::copy_from_slice(bytes));
    let mut forms = vec![
        ("hex", HEXLOWER.encode(bytes)),
        ("hex", HEXUPPER.encode(bytes)),
        ("a list of bytes", format!("{bytes:?}").trim_matches(['[', ']']).to_owned()),
        ("an escaped text", debug[2..debug.len() - 1].to_owned()),
    ];
    if let Ok(text) = str::from_utf8(bytes) {
        forms.push(("raw", text.to_owned()));
    }
    for before in 0..3 {
        forms.push(("base64", within_base64(&BASE64.encode(&shifted(bytes, before)), before)));
        forms.push(("base64url", within_base64(&BASE64URL.encode(&shifted(bytes, before)), before)));
    }
    forms
}

fn shifted(bytes: &[u8], before: usize) -> Vec<u8> {
    [&vec![0; before][..], bytes].concat()
}

/// Of what encodes some bytes `before` and the secret, the characters that the secret alone decides, whatever
/// comes after it.
fn within_base64(encoded: &str, before: usize) -> String {
    let whole = encoded.trim_end_matches('=');
    let decided = if whole.len() == encoded.len() { whole.len() } else { whole.len() - 1 };
    whole[(before * 8).div_ceil(6)..decided].to_owned()
}

/// Without the time that a line begins with, whose microseconds are six digits.
fn without_time(line: &str) -> &str {
    let start = line.strip_prefix("{\"timestamp\":\"").unwrap_or(line);
    match start.split_once('Z') {
        Some((time, rest)) if time.bytes().all(|byte| byte.is_ascii_digit() || b"-:.T".contains(&byte)) => {
            rest
        }
        _ => line,
    }
}
