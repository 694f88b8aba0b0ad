//! Receipts where no device decided: a code settled it, or the server denied it by itself.

use countersign_proto::{
    common::FactorType,
    envelope::EnvelopeFault,
    receipt::{Part, Refusal},
    statement::{Envelope, Purpose, Receipt},
    statement_form::FieldFault,
    trust::ServerKeyFault,
};

use super::{Knowledge, ReceiptCase, case, fields::Table};
use crate::fixture::{DEVICE_ID, Login, OTP_ID, at};

pub(super) fn cases() -> Vec<ReceiptCase> {
    [good(), expected(), parts(), swaps(), challenges(), settlements(), denials(), server_keys()]
        .into_iter()
        .flatten()
        .collect()
}

fn good() -> Vec<ReceiptCase> {
    let of_device = Login::approved().settled_without_device(FactorType::Totp, DEVICE_ID);
    vec![
        case("by TOTP", Login::by_totp().receipt(), None),
        case("by a device's TOTP", of_device.receipt(), None),
        case("by recovery code", Login::by_recovery_code().receipt(), None),
        case("denied: too many codes", Login::too_many_codes().receipt(), None),
    ]
}

fn expected() -> Vec<ReceiptCase> {
    let all = Knowledge::all();
    let line = |what: &str, knowledge, refusal: Option<Refusal>| ReceiptCase {
        knowledge,
        ..case(format!("expected: of a code, {what}"), Login::by_totp().receipt(), refusal)
    };
    vec![
        line("all of it", all.clone(), None),
        line(
            "another application",
            Knowledge { application_id: Some("app_other"), ..all.clone() },
            Some(Refusal::NotExpectedApplication),
        ),
        line(
            "another user",
            Knowledge { user_id: Some("u-0815"), ..all.clone() },
            Some(Refusal::NotExpectedUser),
        ),
        line(
            "another attempt",
            Knowledge { attempt_id: Some("attempt-2"), ..all.clone() },
            Some(Refusal::NotExpectedAttempt),
        ),
        line(
            "another purpose",
            Knowledge { purpose: Some(Purpose::Action), ..all.clone() },
            Some(Refusal::NotExpectedPurpose),
        ),
        line(
            "a higher key version",
            Knowledge { min_key_version: Some(2), ..all },
            Some(Refusal::ServerKeyTooOld { version: 1, least: 2 }),
        ),
    ]
}

/// What is missing, and what is there and must not be.
fn parts() -> Vec<ReceiptCase> {
    let device = Login::approved().receipt();
    let mut cases = Vec::new();
    for (what, login) in [
        ("TOTP", Login::by_totp()),
        ("recovery code", Login::by_recovery_code()),
        ("too many codes", Login::too_many_codes()),
    ] {
        let good = login.receipt();
        let mut line = |change: &str, receipt, refusal| {
            cases.push(case(format!("{what}: {change}"), receipt, Some(refusal)));
        };
        line("no challenge", Receipt { challenge: None, ..good.clone() }, Refusal::Missing(Part::Challenge));
        line(
            "no settlement",
            Receipt { settlement: None, ..good.clone() },
            Refusal::Missing(Part::Settlement),
        );
        line(
            "with a device's decision",
            Receipt { decision: device.decision.clone(), ..good.clone() },
            Refusal::Unexpected(Part::Decision),
        );
        line(
            "with a device's binding",
            Receipt { binding: device.binding.clone(), ..good.clone() },
            Refusal::Unexpected(Part::Binding),
        );
        line(
            "with both",
            Receipt { settlement: good.settlement.clone(), ..device.clone() },
            Refusal::Unexpected(Part::Decision),
        );
        line(
            "with an empty decision",
            Receipt { decision: Some(Envelope::default()), ..good.clone() },
            Refusal::Unexpected(Part::Decision),
        );
        line(
            "with the settlement of the device's approval",
            Receipt { settlement: device.settlement.clone(), ..good.clone() },
            Refusal::Missing(Part::Binding),
        );
        line(
            "the same, with the binding",
            Receipt { settlement: device.settlement.clone(), binding: device.binding.clone(), ..good },
            Refusal::Missing(Part::Decision),
        );
    }
    cases
}

/// Parts of other receipts by codes. Two parts cannot tell which of them is the foreign one.
fn swaps() -> Vec<ReceiptCase> {
    let by_totp = |login: Login| login.settled_without_device(FactorType::Totp, OTP_ID).receipt();
    let good = Login::by_totp().receipt();
    let (challenge, user, server) = (
        by_totp(Login::of_other_challenge()),
        by_totp(Login::of_other_user()),
        by_totp(Login::of_other_server()),
    );
    let with_challenge = |of: &Receipt| Receipt { challenge: of.challenge.clone(), ..good.clone() };
    let with_settlement = |of: &Receipt| Receipt { settlement: of.settlement.clone(), ..good.clone() };
    let foreign = |part| Refusal::Envelope { part, fault: EnvelopeFault::KeyId };
    let other = || Refusal::OtherChallenge(Part::Settlement);
    let line = |what: &str, receipt, refusal| case(format!("code swapped: {what}"), receipt, Some(refusal));
    vec![
        line("another challenge's challenge", with_challenge(&challenge), other()),
        line("another challenge's settlement", with_settlement(&challenge), other()),
        line("another user's challenge", with_challenge(&user), other()),
        line("another user's settlement", with_settlement(&user), other()),
        line("another server's challenge", with_challenge(&server), foreign(Part::Challenge)),
        line("another server's settlement", with_settlement(&server), foreign(Part::Settlement)),
        line(
            "another server's server key",
            Receipt { server_keys: server.server_keys.clone(), ..good.clone() },
            ServerKeyFault::Envelope(EnvelopeFault::KeyId).into(),
        ),
        line("all, with another server's", server.clone(), Refusal::RootKeyNotPinned),
    ]
}

fn challenges() -> Vec<ReceiptCase> {
    let content = || Refusal::OtherContent(Part::Settlement);
    Table::new("challenge of a code", Login::by_totp())
        .resigned("server_id", Refusal::OtherServer(Part::Challenge), |l| l.challenge.server_id.push('A'))
        .resigned("challenge_id", Refusal::OtherChallenge(Part::Settlement), |l| {
            l.challenge.challenge_id.push('A');
        })
        .resigned("application_id", content(), |l| l.challenge.application_id.push('A'))
        .resigned("user_id", content(), |l| l.challenge.user_id.push('A'))
        .resigned("purpose", content(), |l| l.challenge.purpose = 2)
        .resigned("a detail's value", content(), |l| l.challenge.details[0].value.push('A'))
        .resigned("attempt_sha256", content(), |l| l.challenge.attempt_sha256[0] ^= 1)
        .relinked("created after it was settled", Refusal::SettledOutsideLifetime, |l| {
            l.challenge.created_at = at(22);
        })
        .relinked("expired when it was settled", Refusal::SettledOutsideLifetime, |l| {
            l.challenge.expires_at = at(21);
        })
        .relinked("created before the server key", Refusal::ServerKeyNotValid(Part::Challenge), |l| {
            l.challenge.created_at = at(-31 * 86_400);
        })
        // What is asked of devices is not asked of a code.
        .relinked("no match code", None, |l| l.challenge.match_code_digits = 0)
        .relinked("user verification", None, |l| l.challenge.user_verification_required = true)
        // Nothing else in such a receipt speaks of these.
        .relinked("another application", None, |l| l.challenge.application_id.push('A'))
        .relinked("another user", None, |l| l.challenge.user_id.push('A'))
        .cases
}

fn of_form(field: &'static str, problem: &str) -> Refusal {
    let fault = EnvelopeFault::Field(FieldFault::new(field, problem));
    Refusal::Envelope { part: Part::Settlement, fault }
}

fn settlements() -> Vec<ReceiptCase> {
    Table::new("settlement by a code", Login::by_totp())
        .resigned("server_id", Refusal::OtherServer(Part::Settlement), |l| l.settlement.server_id.push('A'))
        .resigned("challenge_sha256", Refusal::OtherContent(Part::Settlement), |l| {
            l.settlement.challenge_sha256[0] ^= 1;
        })
        .resigned("challenge_id", Refusal::OtherChallenge(Part::Settlement), |l| {
            l.settlement.challenge_id.push('A');
        })
        .resigned(
            "factor_type unset",
            of_form("factor_type", "must be DEVICE, TOTP or RECOVERY_CODE with APPROVED"),
            |l| l.settlement.factor_type = 0,
        )
        .resigned(
            "factor_type DEVICE",
            of_form("decision_sha256", "must be a SHA-256 digest of 32 bytes"),
            |l| l.settlement.factor_type = 1,
        )
        .resigned("factor_id empty", of_form("factor_id", "must be given"), |l| {
            l.settlement.factor_id.clear();
        })
        .resigned(
            "decision_sha256",
            of_form("decision_sha256", "must be empty where no device decided"),
            |l| l.settlement.decision_sha256 = vec![7; 32],
        )
        .resigned(
            "denied",
            of_form("factor_type", "must be DEVICE with NOT_ME, MISTAKE or WRONG_MATCH_CODE"),
            |l| {
                l.settlement.state = 3;
                l.settlement.denial_reason = 1;
            },
        )
        .resigned("settled_at before the challenge", Refusal::SettledOutsideLifetime, |l| {
            l.settlement.settled_at = at(-1);
        })
        .resigned("settled_at when it expired", Refusal::SettledOutsideLifetime, |l| {
            l.settlement.settled_at = at(120);
        })
        .resigned("settled_at within the lifetime", None, |l| l.settlement.settled_at = at(119))
        .resigned("another kind of code", None, |l| l.settlement.factor_type = 3)
        .resigned("another factor", None, |l| l.settlement.factor_id.push('A'))
        .cases
}

fn denials() -> Vec<ReceiptCase> {
    Table::new("denial by the server", Login::too_many_codes())
        .resigned("challenge_sha256", Refusal::OtherContent(Part::Settlement), |l| {
            l.settlement.challenge_sha256[0] ^= 1;
        })
        .resigned("factor_type", of_form("factor_type", "must be unset with TOO_MANY_CODES"), |l| {
            l.settlement.factor_type = 2;
        })
        .resigned("factor_id", of_form("factor_id", "must be empty with TOO_MANY_CODES"), |l| {
            l.settlement.factor_id = DEVICE_ID.into();
        })
        .resigned(
            "decision_sha256",
            of_form("decision_sha256", "must be empty where no device decided"),
            |l| l.settlement.decision_sha256 = vec![7; 32],
        )
        .resigned("settled_at when it expired", Refusal::SettledOutsideLifetime, |l| {
            l.settlement.settled_at = at(120);
        })
        .cases
}

fn server_keys() -> Vec<ReceiptCase> {
    // The first of its keys signs the binding only.
    let rolled_over = Login::rolled_over().settled_without_device(FactorType::Totp, OTP_ID);
    let mut cases = Table::new("server key of a code", Login::by_totp())
        .resigned("not_before after the challenge", Refusal::ServerKeyNotValid(Part::Challenge), |l| {
            l.server_keys[0].0.not_before = at(1);
        })
        .resigned("not_before when it was asked", None, |l| l.server_keys[0].0.not_before = at(0))
        .resigned("not_after when it was settled", Refusal::ServerKeyNotValid(Part::Settlement), |l| {
            l.server_keys[0].0.not_after = at(21);
        })
        .resigned("not_after just behind the settlement", None, |l| l.server_keys[0].0.not_after = at(22))
        .cases;
    cases.push(case(
        "server keys: one that signed nothing of a code's",
        rolled_over.receipt(),
        Refusal::ServerKeyUnused,
    ));
    cases
}
