//! What is signed in a login: the question, the answer and what came of it.

use countersign_proto::{
    common::DenialReason,
    statement::{Detail, UserVerification, Verdict},
};

use super::{StatementCase, Table};
use crate::fixture::{Login, at};

pub(super) fn cases() -> Vec<StatementCase> {
    [challenges(), details(), approvals(), denials()].into_iter().flatten().collect()
}

fn challenges() -> Vec<StatementCase> {
    let mut table = Table::new("a login", Login::approved().challenge, "server-1")
        .takes("purpose MANAGE_FACTORS", |s| s.purpose = 2)
        .takes("purpose ACTION", |s| s.purpose = 3)
        .takes("user verification required", |s| s.user_verification_required = true)
        .takes("expires a millisecond after it was created", |s| {
            s.expires_at = s.created_at;
            s.expires_at.get_or_insert_default().nanos += 1_000_000;
        })
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("challenge_id", "empty", |s| s.challenge_id.clear())
        .refuses("application_id", "empty", |s| s.application_id.clear())
        .refuses("user_id", "empty", |s| s.user_id.clear())
        .refuses("user_id", "257 bytes", |s| s.user_id = "u".repeat(257))
        .refuses("purpose", "unset", |s| s.purpose = 0)
        .refuses("purpose", "unknown", |s| s.purpose = 4)
        .refuses("purpose", "negative", |s| s.purpose = -1)
        .refuses("created_at", "missing", |s| s.created_at = None)
        .refuses("created_at", "negative nanoseconds", |s| s.created_at.get_or_insert_default().nanos = -1)
        .refuses("created_at", "after the year 9999", |s| s.created_at = at(1 << 40))
        .refuses("expires_at", "missing", |s| s.expires_at = None)
        .refuses("expires_at", "equal to created_at", |s| s.expires_at = s.created_at)
        .refuses("expires_at", "before created_at", |s| s.expires_at = at(-1))
        .refuses("attempt_sha256", "empty", |s| s.attempt_sha256.clear())
        .refuses("attempt_sha256", "64 bytes", |s| s.attempt_sha256 = vec![7; 64]);
    for digits in [0, 2, 6] {
        table = table.takes(&format!("{digits} match code digits"), |s| s.match_code_digits = digits);
    }
    for digits in [1, 7, u32::MAX] {
        table = table.refuses("match_code_digits", &digits.to_string(), |s| s.match_code_digits = digits);
    }
    table.cases
}

fn details() -> Vec<StatementCase> {
    let detail = || Detail { kind: 0, label: "Amount".into(), value: "12 EUR".into() };
    Table::new("two details", Login::approved().challenge, "server-1")
        .takes("no details", |s| s.details.clear())
        .takes("16 details", |s| s.details = vec![detail(); 16])
        .takes("a detail of a kind that is not known", |s| s.details[0].kind = 1000)
        .takes("the longest label and value", |s| {
            s.details[0].label = "ä".repeat(36);
            s.details[0].value = "\u{1f512}".repeat(256);
        })
        .refuses("details", "17", |s| s.details = vec![detail(); 17])
        .refuses("details.label", "empty", |s| s.details[1].label.clear())
        .refuses("details.label", "37 characters", |s| s.details[0].label = "a".repeat(37))
        .refuses("details.label", "a right-to-left mark", |s| s.details[0].label = "\u{200f}IP".into())
        .refuses("details.value", "empty", |s| s.details[1].value.clear())
        .refuses("details.value", "257 characters", |s| s.details[0].value = "a".repeat(257))
        .refuses("details.value", "a line break", |s| s.details[0].value = "198.51.100.7\nBerlin".into())
        .refuses("details.value", "a C1 control", |s| s.details[0].value = "a\u{85}b".into())
        .refuses("details.value", "a bidirectional isolate", |s| s.details[1].value = "a\u{2066}b".into())
        .cases
}

fn approvals() -> Vec<StatementCase> {
    let mut table = Table::new("an approval", Login::approved().decision, "device")
        .takes("no match code", |s| s.match_code.clear())
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("challenge_sha256", "31 bytes", |s| s.challenge_sha256.truncate(31))
        .refuses("challenge_id", "empty", |s| s.challenge_id.clear())
        .refuses("device_id", "empty", |s| s.device_id.clear())
        .refuses("verdict", "unset", |s| s.verdict = 0)
        .refuses("verdict", "unknown", |s| s.verdict = 3)
        .refuses("denial_reason", "with APPROVE", |s| s.denial_reason = DenialReason::NotMe.into())
        .refuses("denial_reason", "unknown with APPROVE", |s| s.denial_reason = 99)
        .refuses("user_verification", "unset with APPROVE", |s| s.user_verification = 0)
        .refuses("user_verification", "unknown with APPROVE", |s| s.user_verification = 5)
        .refuses("decided_at", "missing", |s| s.decided_at = None)
        .refuses("decided_at", "out of range", |s| s.decided_at = at(i64::MIN / 2_000));
    for verification in [UserVerification::Pin, UserVerification::Biometric, UserVerification::DeviceLock] {
        let change = |s: &mut countersign_proto::statement::DecisionStatement| {
            s.user_verification = verification.into();
        };
        table = table.takes(verification.as_str_name(), change);
    }
    table.cases
}

fn denials() -> Vec<StatementCase> {
    Table::new("a denial", Login::denied().decision, "device")
        .takes("a mistake", |s| s.denial_reason = DenialReason::Mistake.into())
        .refuses("denial_reason", "unset with DENY", |s| s.denial_reason = 0)
        .refuses("denial_reason", "one that only the server may give", |s| {
            s.denial_reason = DenialReason::WrongMatchCode.into();
        })
        .refuses("denial_reason", "unknown with DENY", |s| s.denial_reason = 99)
        .refuses("match_code", "with DENY", |s| s.match_code = "042".into())
        .refuses("user_verification", "with DENY", |s| s.user_verification = UserVerification::Pin.into())
        .refuses("user_verification", "unknown with DENY", |s| s.user_verification = 99)
        .refuses("verdict", "a denial turned into nothing", |s| s.verdict = Verdict::Unspecified.into())
        .refuses("decided_at", "missing in a denial", |s| s.decided_at = None)
        .cases
}
