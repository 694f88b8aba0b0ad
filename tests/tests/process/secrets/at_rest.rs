//! What a thief of the data directory without the master key finds of secrets and codes: nothing.

use std::{collections::BTreeMap, fs, path::Path};

use countersign::clock::{Clock as _, SystemClock};
use countersign_domain::totp::{Algorithm, Parameters};
use countersign_proto::{
    common::FactorType,
    login::{CodeResult, EnrollmentState},
};
use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL, HEXLOWER, HEXUPPER};

use super::flow::secret_at;
use crate::{
    people::Application,
    program::{Place, soon},
};

const SHA1: Parameters = Parameters { algorithm: Algorithm::Sha1, digits: 6, period_seconds: 30 };
/// A part of so many bytes is nowhere by chance.
const PART: usize = 8;
const MASTER_KEY: &str = "master.key";

/// Secrets by their names.
#[derive(Default)]
struct Kept(BTreeMap<&'static str, Vec<u8>>);

impl Kept {
    fn add(&mut self, name: &'static str, secret: impl AsRef<[u8]>) {
        self.0.insert(name, secret.as_ref().to_vec());
    }

    /// Each secret of which a part stands in `content`, and how.
    fn found_in(&self, content: &[u8]) -> Vec<String> {
        let content = searchable(content);
        let is_there = |form: &Vec<u8>| content.contains(&searchable(form));
        let mut found = Vec::new();
        for (name, secret) in &self.0 {
            let forms = parts(secret).flat_map(forms);
            let there = forms.filter(|(_, form)| is_there(form)).map(|(form, _)| format!("{name} as {form}"));
            found.extend(there);
        }
        found
    }
}

/// Parts that cover it all.
fn parts(secret: &[u8]) -> impl Iterator<Item = &[u8]> {
    secret.chunks_exact(PART).chain(secret.last_chunk::<PART>().map(|part| &part[..]))
}

/// One character for each byte, for the search of texts is a fast one.
fn searchable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// What `part` may be written as, wherever in a longer value it stands.
fn forms(part: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("raw bytes", part.to_vec())];
    forms.extend([HEXLOWER.encode(part), HEXUPPER.encode(part)].map(|hex| ("hex", hex.into_bytes())));
    for before in 0..5 {
        let shifted = [&vec![0; before][..], part].concat();
        for (name, encoded, bits) in [
            ("base64", BASE64.encode(&shifted), 6),
            ("base64url", BASE64URL.encode(&shifted), 6),
            ("base32", BASE32_NOPAD.encode(&shifted), 5),
        ] {
            // The characters that the part alone decides.
            let decided = (before * 8).div_ceil(bits)..shifted.len() * 8 / bits;
            forms.push((name, encoded.as_bytes()[decided].to_vec()));
        }
    }
    forms
}

/// The content of each file in `directory` but the master key's, by its name.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let entry = entry.expect("an entry");
        assert!(entry.file_type().expect("a type").is_file(), "{entry:?} is to be searched too");
        let name = entry.file_name().into_string().expect("a name");
        if name != MASTER_KEY {
            files.insert(name, fs::read(entry.path()).expect("it can be read"));
        }
    }
    files
}

#[tokio::test]
async fn no_file_but_the_master_keys_holds_a_part_of_a_secret_or_a_code() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    let device = soon(backend.enroll("anna")).await.expect("it is enrolled");
    let mut kept = Kept::default();
    kept.add("the master key", fs::read(place.path("data").join(MASTER_KEY)).expect("it was made"));
    let (_, secret) = application.api_key.rsplit_once('_').expect("csk_<id>_<secret>");
    kept.add("the API key's secret", secret);
    kept.add("the device's TOTP secret", secret_at(&device, "/totp/secret"));

    let authorization = soon(backend.authorization("anna", "attempt-1", &device)).await;
    let started = soon(backend.start_another("anna", FactorType::Totp, Some(authorization))).await;
    let started = started.expect("it starts");
    let setup_key = started.setup_key.replace(' ', "");
    let secret = BASE32_NOPAD.decode(setup_key.as_bytes()).expect("base32");
    let code = SHA1.code_of_step(&secret, SHA1.step_at(SystemClock.now()));
    kept.add("the app's TOTP secret", secret);
    kept.add("the app's setup key", setup_key);
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    let confirmed = soon(backend.confirm(&enrollment_id, &code)).await.expect("the right code");
    assert_eq!(confirmed.state(), EnrollmentState::Completed);

    let authorization = soon(backend.authorization("anna", "attempt-2", &device)).await;
    let paper = soon(backend.issue("anna", Some(authorization))).await.expect("it is issued").recovery_code;
    let in_one = paper.replace('-', "");
    kept.add("the recovery code", &paper);
    kept.add("the recovery code in lower case", paper.to_lowercase());
    kept.add("the recovery code in one", &in_one);
    kept.add("the recovery code in one, in lower case", in_one.to_lowercase());
    let (challenge, _) = soon(backend.create("anna", "attempt-3")).await.expect("it is created");

    let search = |when: &str| {
        let files = files(&place.path("data"));
        for (name, content) in &files {
            assert_eq!(kept.found_in(content), [""; 0], "{when}, in {name}");
        }
        files
    };
    search("while they count");
    let used = soon(backend.verify(&challenge.challenge_id, &paper)).await.expect("an answer");
    assert_eq!(used.0, CodeResult::Accepted);
    search("once a code was used");
    server.stop().await;
    let files = search("when the server has ended");

    // The same search finds what is there, and each part of each secret in each form.
    let database = &files["countersign.sqlite"];
    let mut open = Kept::default();
    open.add("the device's name", "Anna's Pixel");
    assert!(open.found_in(database).contains(&"the device's name as raw bytes".to_owned()));
    for (name, secret) in &kept.0 {
        for (form, planted) in forms(&secret[secret.len() - PART..]) {
            let page = [&database[..100], &planted, &database[100..200]].concat();
            assert!(!kept.found_in(&page).is_empty(), "{name} is not found as {form}");
        }
    }
}
