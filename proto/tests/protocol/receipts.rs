//! Receipts: the good ones hold together, and each change has its refusal.

use std::collections::BTreeSet;

use countersign_proto::{
    envelope::EnvelopeFault,
    receipt::{self, Expected, Part, Proof, Refusal},
    statement::{Envelope, Receipt},
};

use crate::{
    cases::receipts::{ReceiptCase, cases},
    fixture::{Login, OTP_ID, RECOVERY_ID, server_id},
};

#[test]
fn each_receipt_holds_or_is_refused_as_its_line_says() {
    for case in cases() {
        let ReceiptCase { name, receipt, knowledge, refusal } = case;
        let found = receipt::verify(&receipt, &knowledge.server_id(), &knowledge.expected());
        assert_eq!(found.err(), refusal, "{name}");
    }
}

#[test]
fn each_line_has_its_own_name() {
    let names: BTreeSet<_> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases().len());
}

/// No two parts of a receipt can be exchanged and leave the reader guessing which it was.
#[test]
fn each_exchanged_part_has_a_refusal_of_its_own() {
    for others in ["another user's", "the same user's other challenge's", "the same user's other device's"] {
        assert_distinct(&format!("swapped: approved, with {others}"));
        assert_distinct(&format!("swapped: denied, with {others}"));
    }
    assert_distinct("swapped: approved, with another server's");
}

fn assert_distinct(prefix: &str) {
    let lines = cases().into_iter().filter(|case| case.name.starts_with(prefix));
    let refusals: Vec<_> = lines.filter_map(|case| Some(case.refusal?.to_string())).collect();
    assert!(refusals.len() >= 3, "{prefix}: {refusals:?}");
    assert_eq!(refusals.iter().collect::<BTreeSet<_>>().len(), refusals.len(), "{prefix}: {refusals:?}");
}

/// Where an exchange is not refused, there was nothing to exchange.
#[test]
fn an_exchange_that_holds_changed_nothing() {
    let originals =
        [Login::approved(), Login::denied(), Login::wrong_match_code()].map(|login| login.receipt());
    let held = cases().into_iter().filter(|case| case.name.starts_with("swapped") && case.refusal.is_none());
    let mut count = 0;
    for case in held {
        assert!(originals.contains(&case.receipt), "{}", case.name);
        count += 1;
    }
    assert!(count > 0);
}

/// One bit changed anywhere in what is signed is the refusal of that part, at every byte.
#[test]
fn every_byte_of_every_payload_is_signed() {
    type EnvelopeOf = fn(&mut Receipt) -> &mut Envelope;
    let challenge: (_, EnvelopeOf) = (Part::Challenge, |r| r.challenge.as_mut().expect("it is there"));
    let decision: (_, EnvelopeOf) = (Part::Decision, |r| r.decision.as_mut().expect("it is there"));
    let settlement: (_, EnvelopeOf) = (Part::Settlement, |r| r.settlement.as_mut().expect("it is there"));
    let binding: (_, EnvelopeOf) = (Part::Binding, |r| r.binding.as_mut().expect("it is there"));
    let of_device = [challenge, decision, settlement, binding].map(|part| (Login::approved(), part));
    let of_code = [challenge, settlement].map(|part| (Login::by_totp(), part));
    for (login, (part, envelope)) in of_device.into_iter().chain(of_code) {
        let good = login.receipt();
        for position in 0..envelope(&mut good.clone()).payload.len() {
            let mut changed = good.clone();
            envelope(&mut changed).payload[position] ^= 0x10;
            let refusal = receipt::verify(&changed, &server_id(), &Expected::default()).expect_err("changed");
            assert_eq!(
                refusal,
                Refusal::Envelope { part, fault: EnvelopeFault::Signature },
                "byte {position}"
            );
        }
    }
}

#[test]
fn a_verified_receipt_gives_what_was_signed_and_the_lowest_key_version() {
    let login = Login::rolled_over();
    let verified = receipt::verify(&login.receipt(), &server_id(), &Expected::default()).expect("it holds");
    assert_eq!(verified.challenge, login.challenge);
    assert_eq!(verified.settlement, login.settlement);
    assert_eq!(verified.by.decision(), Some(&login.decision));
    assert_eq!(verified.by.binding(), Some(&login.binding));
    assert_eq!(verified.key_version, 1);
}

/// Nobody can read a device where there is none.
#[test]
fn a_verified_receipt_without_a_device_rests_on_the_server() {
    for login in [Login::by_totp(), Login::by_recovery_code(), Login::too_many_codes()] {
        let verified =
            receipt::verify(&login.receipt(), &server_id(), &Expected::default()).expect("it holds");
        assert_eq!(verified.by, Proof::Server);
        assert_eq!((verified.by.decision(), verified.by.binding()), (None, None));
        assert_eq!(verified.challenge, login.challenge);
        assert_eq!(verified.settlement, login.settlement);
        assert_eq!(verified.key_version, 1);
    }
}

/// The key that came furthest tells what is wrong, in whatever order the keys stand.
#[test]
fn the_order_of_server_keys_does_not_change_the_refusal() {
    let mut receipt = Login::rolled_over().receipt();
    receipt.challenge.as_mut().expect("it is there").payload[20] ^= 1;
    let expected = Refusal::Envelope { part: Part::Challenge, fault: EnvelopeFault::Signature };
    for _ in 0..2 {
        receipt.server_keys.reverse();
        let refusal = receipt::verify(&receipt, &server_id(), &Expected::default()).expect_err("changed");
        assert_eq!(refusal, expected);
    }
}

/// What is told of a receipt that holds.
fn words(login: &Login) -> String {
    receipt::verify(&login.receipt(), &server_id(), &Expected::default()).expect("it holds").to_string()
}

#[test]
fn it_is_told_in_words() {
    let approved = words(&Login::approved());
    for fact in [
        "APPROVED at 2026-11-18T11:07:01Z",
        "let a browser or program log in",
        "u-4711",
        "shown        IP address: 198.51.100.7",
        "dev_6b1f0c3d-5e2a-8f47-9c11-2d3e4f5a6b7c",
        "typed on the device, 3 digits",
        "bound at 2026-11-17T11:06:40Z",
    ] {
        assert!(approved.contains(fact), "{fact} is not in\n{approved}");
    }
    let denied = words(&Login::denied());
    assert!(denied.starts_with("DENIED ('it was not me') at 2026-11-18T11:07:01Z"), "{denied}");
    let wrong = words(&Login::wrong_match_code());
    assert!(wrong.starts_with("DENIED (the match code that was typed was wrong)"), "{wrong}");
}

/// Who reads a receipt by a code is told that no device signed it, and what was not asked of the person.
#[test]
fn what_rests_on_the_server_is_told_as_such() {
    const SERVERS_WORD: &str = "\n  rests on     the server's word alone: no device signed this\n";
    const MATCH_CODE: &str = "\n  match code   asked of devices only\n";
    const VERIFIED: &str =
        "\n  verified by  the code alone: a PIN or biometric was required of devices only\n";
    let device_facts = ["shown", "by device", "with key", "the device's word"];

    let mut strict = Login::by_totp();
    strict.challenge.user_verification_required = true;
    strict.link();
    let mut without_match_code = Login::by_recovery_code();
    without_match_code.challenge.match_code_digits = 0;
    without_match_code.link();
    let mut denied = Login::too_many_codes();
    denied.challenge.user_verification_required = true;
    denied.link();

    let by_totp = format!("\n  by code      a TOTP code of {OTP_ID}\n");
    let by_recovery_code = format!("\n  by code      the recovery code {RECOVERY_ID}\n");
    let approved = "APPROVED at 2026-11-18T11:07:01Z\n";
    let too_many = "DENIED (too many wrong codes were typed) at 2026-11-18T11:07:01Z\n";
    for (login, outcome, by, has_match_code, has_verified) in [
        (Login::by_totp(), approved, by_totp.as_str(), true, false),
        (strict, approved, by_totp.as_str(), true, true),
        (Login::by_recovery_code(), approved, by_recovery_code.as_str(), true, false),
        (without_match_code, approved, by_recovery_code.as_str(), false, false),
        (denied, too_many, "\n  by           the server itself\n", true, false),
    ] {
        let words = words(&login);
        assert!(words.starts_with(outcome), "{words}");
        assert!(words.contains(by), "{words}");
        assert!(words.contains(SERVERS_WORD), "{words}");
        assert!(words.contains("\n  detail       IP address: 198.51.100.7\n"), "{words}");
        assert_eq!(words.contains(MATCH_CODE), has_match_code, "{words}");
        assert_eq!(words.contains(VERIFIED), has_verified, "{words}");
        assert!(!device_facts.iter().any(|fact| words.contains(fact)), "{words}");
    }
    let by_device = words(&Login::approved());
    assert!(!by_device.contains("rests on"), "{by_device}");
}

/// A user id may hold anything; what is told of it may not deceive.
#[test]
fn words_do_not_deceive() {
    let mut login = Login::approved();
    login.challenge.user_id = "u\nAPPROVED\u{202e}".into();
    login.binding.user_id = login.challenge.user_id.clone();
    login.link();
    let told = words(&login);
    assert!(told.contains("u\u{fffd}APPROVED\u{fffd}"), "{told}");
    assert_eq!(told.matches("\nAPPROVED").count(), 0);

    let mut login = Login::by_totp();
    login.settlement.factor_id = "otp_1\n  by device    dev_1\u{202e}".into();
    let told = words(&login);
    assert!(told.contains("a TOTP code of otp_1\u{fffd}  by device    dev_1\u{fffd}\n"), "{told}");
}

/// A receipt file is protobuf JSON.
#[test]
fn a_receipt_goes_through_its_file_form_unchanged() {
    let receipt = Login::approved().receipt();
    let file = serde_json::to_string(&receipt).expect("protobuf JSON");
    assert_eq!(serde_json::from_str::<Receipt>(&file).expect("protobuf JSON"), receipt);
}
