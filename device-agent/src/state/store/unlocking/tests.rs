use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    super::{
        Opened, Record,
        tests::{NAME, SEED, open, record, stored},
    },
    *,
};
use crate::random::SystemRandom;

const OTHER: &str = "4567";
const KEY_FILE: &str = "data-key";

fn passphrase(typed: &str) -> Passphrase {
    Passphrase::new(typed.as_bytes()).expect("it may be one")
}

fn locked(directory: &Path) -> SealedStore {
    match Store::open(directory, Arc::new(SystemRandom)).expect("opens") {
        Opened::Open(_) => panic!("it is not locked"),
        Opened::Sealed(store) => store,
    }
}

fn other_record() -> Record {
    let mut record = record();
    record.sequence = 1;
    record
}

/// Two accounts, of different sequence numbers, sealed by `old`.
fn sealed() -> (TempDir, Store) {
    let (directory, store) = stored();
    store.read_or_create(OTHER, other_record).expect("creates");
    let sealed = store.set_passphrase(&passphrase("old")).expect("seals");
    (directory, sealed)
}

/// What lies in the directory, by name.
fn files(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let content = |entry: fs::DirEntry| {
        (entry.file_name().into_string().expect("a name"), fs::read(entry.path()).expect("reads"))
    };
    let entries = fs::read_dir(store.directory.path()).expect("lists");
    entries.map(|entry| content(entry.expect("an entry"))).collect()
}

fn put(store: &Store, files: &BTreeMap<String, Vec<u8>>) {
    for (name, content) in files {
        fs::write(store.directory.file(name), content).expect("writes");
    }
}

/// The key file by which `store` is just being sealed, by `new`.
fn being_set(store: &Store, key: &DataKey) -> KeyFile {
    let open = store.contents().expect("reads").listed();
    KeyFile::new(key, &passphrase("new"), &SystemRandom).in_transition(&open, key, &SystemRandom)
}

/// As somebody does who may write there.
fn plant(store: &Store, name: &str, content: &[u8]) {
    fs::write(store.path(name), content).expect("writes");
    fs::set_permissions(store.path(name), Permissions::from_mode(0o600)).expect("sets");
}

fn sequences(store: &Store) -> Vec<u64> {
    let read = |name| store.read(name).expect("reads").expect("is there").sequence;
    [NAME, OTHER].map(read).to_vec()
}

#[test]
fn nothing_of_an_account_lies_open_and_its_passphrase_alone_opens_it() {
    let (_directory, store) = sealed();
    for (name, content) in files(&store) {
        let text = String::from_utf8(content).expect("text");
        for secret in [SEED, "anna", "Example", "dev_1"] {
            assert!(!text.contains(secret), "{secret} in {name}: {text}");
        }
    }
    let locked = locked(store.directory.path());
    let fault = locked.unlock(&passphrase("new")).err().expect("a fault");
    assert!(matches!(fault, StateFault::WrongPassphrase { .. }), "{fault}");
    let unlocked = locked.unlock(&passphrase("old")).expect("unlocks");
    assert!(encode(&unlocked.read(NAME).expect("reads").expect("is there")) == encode(&record()));
    assert_eq!(sequences(&unlocked), [0, 1]);
}

#[test]
fn another_passphrase_is_one_file_and_who_has_unlocked_goes_on() {
    let (_directory, store) = sealed();
    let before = files(&store);
    store.set_passphrase(&passphrase("new")).expect("changes");
    let after = files(&store);
    let changed: Vec<_> = before.keys().filter(|name| before[*name] != after[*name]).collect();
    assert_eq!((changed, before.len()), (vec![&KEY_FILE.to_owned()], after.len()));
    assert_eq!(sequences(&store), [0, 1]);
    // But what was unlocked by the one before does not decide on another.
    for fault in [store.set_passphrase(&passphrase("mine")).err(), store.remove_passphrase().err()] {
        assert!(matches!(fault, Some(StateFault::PassphraseChanged { .. })), "{fault:?}");
    }
    assert_eq!(files(&store), after);
    let locked = locked(store.directory.path());
    locked.unlock(&passphrase("old")).err().expect("it counts no more");
    assert_eq!(sequences(&locked.unlock(&passphrase("new")).expect("unlocks")), [0, 1]);
}

#[test]
fn who_opened_the_directory_before_its_passphrase_writes_nothing_over_it() {
    let (_directory, store) = stored();
    let sealed = store.set_passphrase(&passphrase("old")).expect("seals");
    let before = files(&store);
    let outcomes = |store: &Store| {
        let updated: Result<_, StateFault> = store.update(NAME, |record| {
            record.sequence += 1;
            Ok(())
        });
        [
            store.read(NAME).err(),
            store.read_or_create("89ab", record).err(),
            updated.err(),
            store.remove(NAME).err(),
            store.set_passphrase(&passphrase("mine")).err(),
        ]
    };
    for fault in outcomes(&store) {
        assert!(matches!(fault, Some(StateFault::PassphraseChanged { .. })), "{fault:?}");
    }
    assert_eq!(files(&store), before);

    // Another data key, though the passphrase is the same.
    let opened = sealed.remove_passphrase().expect("opens");
    let again = opened.set_passphrase(&passphrase("old")).expect("seals");
    let before = files(&store);
    for fault in outcomes(&sealed) {
        assert!(matches!(fault, Some(StateFault::PassphraseChanged { .. })), "{fault:?}");
    }
    assert_eq!(files(&store), before);
    assert_eq!(again.read(NAME).expect("reads").expect("is there").sequence, 0);
}

#[test]
fn each_changed_byte_of_a_sealed_account_is_found_out() {
    let (_directory, store) = sealed();
    let good = fs::read(store.path(NAME)).expect("reads");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(store.path(NAME), &bad).expect("writes");
        let fault = store.read(NAME).err();
        let is_told = matches!(fault, Some(StateFault::Damaged { .. } | StateFault::OtherKey { .. }));
        assert!(is_told, "byte {at}: {fault:?}");
    }
}

#[test]
fn an_account_in_another_s_place_or_an_open_one_is_refused() {
    let (_directory, store) = sealed();
    let good = files(&store);
    fs::copy(store.path(OTHER), store.path(NAME)).expect("copies");
    let fault = store.read(NAME).err().expect("a fault").to_string();
    assert!(fault.contains("belongs to another file"), "{fault}");
    put(&store, &good);
    fs::write(store.path(NAME), encode(&record())).expect("writes");
    let fault = store.read(NAME).err().expect("a fault").to_string();
    assert!(fault.contains("not sealed"), "{fault}");

    // Only who has the data key can say that accounts may lie open.
    let mut forged: Value = serde_json::from_slice(&good[KEY_FILE]).expect("JSON");
    forged["transition"] = forged["sealed_key"].clone();
    fs::write(store.directory.file(KEY_FILE), forged.to_string()).expect("writes");
    let unlocked = locked(store.directory.path()).unlock(&passphrase("old")).expect("unlocks");
    for store in [&store, &unlocked] {
        let fault = store.read(NAME).err().expect("a fault").to_string();
        assert!(fault.contains("not sealed"), "{fault}");
    }
}

#[test]
fn a_list_of_open_accounts_that_was_kept_lets_no_other_account_in() {
    let (_directory, store) = stored();
    let key = Arc::new(DataKey::generate(&SystemRandom));
    being_set(&store, &key).write(&store.directory.lock().expect("locks"), &store.directory).expect("writes");
    let kept = files(&store)[KEY_FILE].clone();
    let unlocked = locked(store.directory.path()).unlock(&passphrase("new")).expect("unlocks");
    let settled = files(&store);

    for (name, theirs) in [(NAME, other_record()), (OTHER, other_record()), (OTHER, record())] {
        put(&store, &settled);
        fs::write(store.directory.file(KEY_FILE), &kept).expect("writes");
        let theirs = encode(&theirs);
        plant(&store, name, &theirs);
        let again = locked(store.directory.path()).unlock(&passphrase("new")).expect("unlocks");
        for store in [&unlocked, &again] {
            let fault = store.read(name).err().expect("a fault").to_string();
            assert!(fault.contains("not sealed"), "{fault}");
        }
        assert_eq!(fs::read(store.path(name)).expect("reads"), *theirs, "nothing has sealed it");
    }
}

#[test]
fn each_changed_value_of_the_key_file_is_found_out() {
    let (_directory, store) = sealed();
    let path = store.directory.file(KEY_FILE);
    let good = fs::read(&path).expect("reads");
    let parsed: Value = serde_json::from_slice(&good).expect("JSON");
    let flipped = |text: &Value, at: usize| {
        let mut bytes = text.as_str().expect("a text").as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        json!(String::from_utf8(bytes).expect("text"))
    };
    let mut changed = Vec::new();
    for (field, value) in [
        ("format", json!(2)),
        ("key_id", flipped(&parsed["key_id"], 0)),
        ("sealed_key", flipped(&parsed["sealed_key"], 0)),
        ("sealed_key", flipped(&parsed["sealed_key"], 40)),
        ("sealed_key", flipped(&parsed["sealed_key"], 90)),
        ("sealed_key", json!("AA")),
        ("more", json!(1)),
    ] {
        let mut copy = parsed.clone();
        copy[field] = value;
        changed.push(copy);
    }
    for (field, value) in [
        ("salt", flipped(&parsed["derivation"]["salt"], 0)),
        ("memory_kib", json!(65537)),
        ("memory_kib", json!(4_194_304)),
        ("memory_kib", json!(8)),
        ("passes", json!(4)),
        ("passes", json!(1)),
        ("lanes", json!(1)),
        ("version", json!(16)),
    ] {
        let mut copy = parsed.clone();
        copy["derivation"][field] = value;
        changed.push(copy);
    }
    for bad in changed {
        fs::write(&path, bad.to_string()).expect("writes");
        let fault = match Store::open(store.directory.path(), Arc::new(SystemRandom)) {
            Err(fault) => fault,
            Ok(Opened::Open(_)) => panic!("opened: {bad}"),
            Ok(Opened::Sealed(locked)) => locked.unlock(&passphrase("old")).err().expect("a fault"),
        };
        let is_told = matches!(fault, StateFault::KeyDamaged { .. } | StateFault::WrongPassphrase { .. });
        assert!(is_told, "{bad}: {fault}");
    }
    fs::write(&path, &good).expect("writes");
    assert_eq!(
        sequences(&locked(store.directory.path()).unlock(&passphrase("old")).expect("unlocks")),
        [0, 1]
    );
}

#[test]
fn without_the_key_file_it_is_told_what_is_missing() {
    let (_directory, store) = sealed();
    let opened = open(tempfile::tempdir().expect("a directory").path());
    fs::remove_file(store.directory.file(KEY_FILE)).expect("removes");
    let before = files(&store);
    let fault = Store::open(store.directory.path(), Arc::new(SystemRandom)).err().expect("a fault");
    assert!(matches!(fault, StateFault::KeyMissing { .. }), "{fault}");
    // Gone after it was opened: nothing new is written open beside what is sealed.
    let opened = Store { directory: store.directory.clone(), ..opened };
    let fault = opened.read_or_create("89ab", record).err().expect("a fault");
    assert!(matches!(fault, StateFault::KeyMissing { .. }), "{fault}");
    let fault = opened.set_passphrase(&passphrase("new")).err().expect("a fault");
    assert!(matches!(fault, StateFault::KeyMissing { .. }), "{fault}");
    assert_eq!(files(&store), before);
}

#[test]
fn a_key_file_of_another_backup_is_told_as_what_it_is() {
    let (_directory, store) = sealed();
    let kept = files(&store)[KEY_FILE].clone();
    let again = store.remove_passphrase().expect("opens").set_passphrase(&passphrase("new")).expect("seals");
    fs::write(store.directory.file(KEY_FILE), kept).expect("writes");
    let unlocked = locked(store.directory.path()).unlock(&passphrase("old")).expect("unlocks");
    let fault = unlocked.read(NAME).err().expect("a fault");
    assert!(matches!(fault, StateFault::OtherKey { .. }), "{fault}");
    let fault = again.read_or_create("89ab", record).err().expect("a fault");
    assert!(matches!(fault, StateFault::PassphraseChanged { .. }), "{fault}");
}

#[test]
fn a_key_file_that_is_too_long_is_not_to_be_enrolled_anew_for() {
    let (_directory, store) = sealed();
    fs::write(store.directory.file(KEY_FILE), vec![b' '; (1 << 20) + 1]).expect("writes");
    let fault = Store::open(store.directory.path(), Arc::new(SystemRandom)).err().expect("a fault");
    assert!(matches!(fault, StateFault::KeyDamaged { .. }), "{fault}");
}

#[test]
fn what_a_crash_left_open_is_sealed_at_the_next_unlocking() {
    let (_directory, store) = stored();
    store.read_or_create(OTHER, other_record).expect("creates");
    let as_open = files(&store);
    let key = Arc::new(DataKey::generate(&SystemRandom));
    let sealing = Store { key: Some(key.clone()), ..store.clone() };
    for sealed_before_the_crash in [vec![], vec![NAME], vec![NAME, OTHER]] {
        put(&store, &as_open);
        // Of an enrolment that was begun before.
        fs::write(store.directory.file("89ab.new"), encode(&record())).expect("writes");
        let lock = store.directory.lock().expect("locks");
        being_set(&store, &key).write(&lock, &store.directory).expect("writes");
        for name in &sealed_before_the_crash {
            let record = sealing.read(name).expect("reads").expect("is there");
            sealing.write(&lock, name, &encode(&record)).expect("writes");
        }
        drop(lock);

        let locked = locked(store.directory.path());
        locked.unlock(&passphrase("old")).err().expect("it never was");
        let unlocked = locked.unlock(&passphrase("new")).expect("unlocks");
        assert_eq!(sequences(&unlocked), [0, 1]);
        for (name, content) in files(&store) {
            let text = String::from_utf8(content).expect("text");
            assert!(!text.contains(SEED) && !text.contains("transition"), "{name}: {text}");
        }
        let names: Vec<_> = files(&store).into_keys().collect();
        assert_eq!(names, ["0123.json", "4567.json", KEY_FILE, "lock"]);
    }
}

#[test]
fn an_account_that_cannot_be_read_stops_a_passphrase_and_keeps_nobody_from_the_others() {
    let (_directory, store) = stored();
    fs::copy(store.path(NAME), store.path(OTHER)).expect("copies");
    let before = files(&store);
    fs::write(store.path(OTHER), "{").expect("writes");
    let damaged = files(&store);
    let fault = store.set_passphrase(&passphrase("new")).err().expect("a fault");
    assert!(matches!(fault, StateFault::Damaged { .. }), "{fault}");
    assert_eq!(files(&store), damaged);

    // Damaged after a crash on the way.
    put(&store, &before);
    let key = Arc::new(DataKey::generate(&SystemRandom));
    being_set(&store, &key).write(&store.directory.lock().expect("locks"), &store.directory).expect("writes");
    fs::write(store.path(OTHER), "{").expect("writes");
    let unlocked = locked(store.directory.path()).unlock(&passphrase("new")).expect("unlocks");
    assert_eq!(unlocked.read(NAME).expect("reads").expect("is there").sequence, 0);
    unlocked.read(OTHER).err().expect("it is damaged");
    let sealed = String::from_utf8(files(&store)["0123.json"].clone()).expect("text");
    assert!(!sealed.contains(SEED), "the damaged one keeps no other open: {sealed}");
    // It is put back, and sealed then: it is still the one that lay open.
    fs::write(store.path(OTHER), &before["4567.json"]).expect("writes");
    locked(store.directory.path()).unlock(&passphrase("new")).expect("unlocks");
    for (name, content) in files(&store) {
        let text = String::from_utf8(content).expect("text");
        assert!(!text.contains(SEED) && !text.contains("transition"), "{name}: {text}");
    }
}

#[test]
fn a_disk_that_fails_on_the_way_leaves_the_passphrase_in_force_and_the_accounts_usable() {
    let (_directory, store) = stored();
    store.read_or_create(OTHER, other_record).expect("creates");
    let in_the_way = store.directory.file("4567.new");
    fs::create_dir(&in_the_way).expect("makes");
    let fault = store.set_passphrase(&passphrase("new")).err().expect("a fault");
    assert!(matches!(fault, StateFault::SealingUnfinished { .. }), "{fault}");
    let text = fault.to_string();
    assert!(text.contains("is in force") && text.contains("4567.json"), "{text}");

    let locked = locked(store.directory.path());
    let unlocked = locked.unlock(&passphrase("new")).expect("unlocks");
    assert_eq!(sequences(&unlocked), [0, 1]);
    let change = |record: &mut Record| {
        record.sequence += 1;
        Ok::<_, StateFault>(())
    };
    unlocked.update(NAME, change).expect("updates");
    let fault = unlocked.update(OTHER, change).expect_err("a fault");
    assert!(matches!(fault, StateFault::Io { .. }), "{fault}");

    fs::remove_dir(in_the_way).expect("removes");
    assert_eq!(sequences(&locked.unlock(&passphrase("new")).expect("unlocks")), [1, 1]);
    let text: Vec<_> =
        files(&store).into_values().map(|file| String::from_utf8(file).expect("text")).collect();
    assert!(!text.concat().contains(SEED) && !text.concat().contains("transition"), "{text:?}");
}

#[test]
fn one_account_that_is_open_to_others_keeps_nobody_from_the_others() {
    let (_directory, store) = stored();
    store.read_or_create(OTHER, other_record).expect("creates");
    let key = DataKey::generate(&SystemRandom);
    being_set(&store, &key).write(&store.directory.lock().expect("locks"), &store.directory).expect("writes");
    fs::set_permissions(store.path(OTHER), Permissions::from_mode(0o644)).expect("sets");
    let unlocked = locked(store.directory.path()).unlock(&passphrase("new")).expect("unlocks");
    assert_eq!(unlocked.read(NAME).expect("reads").expect("is there").sequence, 0);
    let fault = unlocked.read(OTHER).err().expect("a fault");
    assert!(matches!(fault, StateFault::OpenToOthers { .. }), "{fault}");
}
