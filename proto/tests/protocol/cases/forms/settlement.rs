//! What came of a login: by a device, by a code, or by the server itself.

use countersign_proto::common::{DenialReason, FactorType};

use super::{StatementCase, Table};
use crate::fixture::{DEVICE_ID, Login};

pub(super) fn cases() -> Vec<StatementCase> {
    [approvals(), denials(), codes(), denials_by_the_server()].into_iter().flatten().collect()
}

fn approvals() -> Vec<StatementCase> {
    let mut table = Table::new("an approval's", Login::approved().settlement, "server-1")
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("challenge_sha256", "empty", |s| s.challenge_sha256.clear())
        .refuses("challenge_id", "empty", |s| s.challenge_id.clear())
        .refuses("denial_reason", "with APPROVED", |s| s.denial_reason = DenialReason::Mistake.into())
        .refuses("denial_reason", "of the server itself, with APPROVED", |s| {
            s.denial_reason = DenialReason::TooManyCodes.into();
        })
        .refuses("factor_type", "unset", |s| s.factor_type = 0)
        .refuses("factor_type", "unset, with all that it brings", |s| {
            s.factor_type = 0;
            s.factor_id.clear();
            s.decision_sha256.clear();
        })
        .refuses("factor_type", "unknown", |s| s.factor_type = 4)
        .refuses("factor_type", "negative", |s| s.factor_type = -1)
        .refuses("factor_id", "empty", |s| s.factor_id.clear())
        .refuses("decision_sha256", "empty", |s| s.decision_sha256.clear())
        .refuses("decision_sha256", "31 bytes", |s| s.decision_sha256.truncate(31))
        .refuses("settled_at", "missing", |s| s.settled_at = None);
    for (state, name) in
        [(0, "unset"), (1, "PENDING"), (4, "CANCELLED"), (5, "SUPERSEDED"), (6, "EXPIRED"), (7, "unknown")]
    {
        table = table.refuses("state", name, |s| s.state = state);
    }
    table.cases
}

fn denials() -> Vec<StatementCase> {
    Table::new("a denial's", Login::denied().settlement, "server-1")
        .takes("a mistake", |s| s.denial_reason = DenialReason::Mistake.into())
        .takes("a wrong match code", |s| s.denial_reason = DenialReason::WrongMatchCode.into())
        .refuses("denial_reason", "unset with DENIED", |s| s.denial_reason = 0)
        .refuses("denial_reason", "unknown with DENIED", |s| s.denial_reason = 5)
        .refuses("factor_type", "a device's, with too many codes", |s| {
            s.denial_reason = DenialReason::TooManyCodes.into();
        })
        .refuses("factor_type", "TOTP with NOT_ME", |s| s.factor_type = FactorType::Totp.into())
        .refuses("factor_type", "RECOVERY_CODE with WRONG_MATCH_CODE", |s| {
            s.denial_reason = DenialReason::WrongMatchCode.into();
            s.factor_type = FactorType::RecoveryCode.into();
            s.decision_sha256.clear();
        })
        .refuses("factor_type", "unset with MISTAKE", |s| {
            s.denial_reason = DenialReason::Mistake.into();
            s.factor_type = 0;
            s.factor_id.clear();
            s.decision_sha256.clear();
        })
        .cases
}

fn codes() -> Vec<StatementCase> {
    let mut cases = Vec::new();
    for (what, login) in [("TOTP", Login::by_totp()), ("RECOVERY_CODE", Login::by_recovery_code())] {
        let table = Table::new(&format!("an approval's by {what}"), login.settlement, "server-1")
            .takes(&format!("{what} of a device"), |s| s.factor_id = DEVICE_ID.into())
            .refuses("factor_id", &format!("empty with {what}"), |s| s.factor_id.clear())
            .refuses("decision_sha256", &format!("a digest with {what}"), |s| {
                s.decision_sha256 = vec![7; 32];
            })
            .refuses("decision_sha256", &format!("a byte with {what}"), |s| s.decision_sha256 = vec![0]);
        cases.extend(table.cases);
    }
    cases
}

fn denials_by_the_server() -> Vec<StatementCase> {
    Table::new("too many codes", Login::too_many_codes().settlement, "server-1")
        .refuses("factor_type", "TOTP with too many codes", |s| s.factor_type = FactorType::Totp.into())
        .refuses("factor_type", "RECOVERY_CODE with too many codes", |s| {
            s.factor_type = FactorType::RecoveryCode.into();
        })
        .refuses("factor_type", "unknown with too many codes", |s| s.factor_type = 4)
        .refuses("factor_id", "given with too many codes", |s| s.factor_id = DEVICE_ID.into())
        .refuses("decision_sha256", "a digest with too many codes", |s| s.decision_sha256 = vec![7; 32])
        .refuses("denial_reason", "unset with too many codes' denial", |s| s.denial_reason = 0)
        .refuses("factor_type", "unset with a device's reason", |s| {
            s.denial_reason = DenialReason::NotMe.into();
        })
        .cases
}
