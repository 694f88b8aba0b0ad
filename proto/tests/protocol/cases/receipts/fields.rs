//! Each field of each statement of a receipt changed, and signed again by the key that should.
//!
//! `resigned` leaves the digests of the other statements as they were: one statement was exchanged.
//! `relinked` makes them fit again: whoever holds every key tells another story, and only its sense is wrong.

use countersign_proto::{
    common::{ChallengeState, DenialReason},
    envelope::EnvelopeFault,
    receipt::{Part, Refusal, attempt_digest},
    statement_form::FieldFault,
    trust::ServerKeyFault,
};

use super::{ReceiptCase, case};
use crate::fixture::{Login, at, public};

pub(super) fn cases() -> Vec<ReceiptCase> {
    [challenges(), decisions(), denials(), settlements(), bindings(), server_keys(), denied_settlements()]
        .into_iter()
        .flatten()
        .collect()
}

/// Lines about one statement of one good receipt.
pub(super) struct Table {
    good: Login,
    what: &'static str,
    pub(super) cases: Vec<ReceiptCase>,
}

impl Table {
    pub(super) fn new(what: &'static str, good: Login) -> Self {
        Self { good, what, cases: Vec::new() }
    }

    /// The changed statement alone is signed again.
    pub(super) fn resigned(
        self,
        what: &str,
        refusal: impl Into<Option<Refusal>>,
        change: impl Fn(&mut Login),
    ) -> Self {
        self.with("changed and signed again", what, refusal.into(), false, change)
    }

    /// The digests of the others are made to fit as well.
    pub(super) fn relinked(
        self,
        what: &str,
        refusal: impl Into<Option<Refusal>>,
        change: impl Fn(&mut Login),
    ) -> Self {
        self.with("told otherwise", what, refusal.into(), true, change)
    }

    fn with(
        mut self,
        how: &str,
        what: &str,
        refusal: Option<Refusal>,
        link: bool,
        change: impl Fn(&mut Login),
    ) -> Self {
        let mut login = self.good.clone();
        change(&mut login);
        if link {
            login.link();
        }
        self.cases.push(case(format!("{how}: {}, {what}", self.what), login.receipt(), refusal));
        self
    }
}

fn challenges() -> Vec<ReceiptCase> {
    let content = || Refusal::OtherContent(Part::Challenge);
    Table::new("challenge", Login::approved())
        .resigned("server_id", Refusal::OtherServer(Part::Challenge), |l| l.challenge.server_id.push('A'))
        .resigned("challenge_id", Refusal::OtherChallenge(Part::Challenge), |l| {
            l.challenge.challenge_id.push('A');
        })
        .resigned("application_id", content(), |l| l.challenge.application_id.push('A'))
        .resigned("user_id", content(), |l| l.challenge.user_id.push('A'))
        .resigned("purpose", content(), |l| l.challenge.purpose = 2)
        .resigned("created_at", content(), |l| l.challenge.created_at = at(-1))
        .resigned("expires_at", content(), |l| l.challenge.expires_at = at(121))
        .resigned("a detail's kind", content(), |l| l.challenge.details[0].kind = 0)
        .resigned("a detail's label", content(), |l| l.challenge.details[0].label.push('A'))
        .resigned("a detail's value", content(), |l| l.challenge.details[0].value.push('A'))
        .resigned("a detail less", content(), |l| l.challenge.details.truncate(1))
        .resigned("match_code_digits", content(), |l| l.challenge.match_code_digits = 2)
        .resigned("user_verification_required", content(), |l| l.challenge.user_verification_required = true)
        .resigned("attempt_sha256", content(), |l| l.challenge.attempt_sha256[0] ^= 1)
        .relinked("another application", Refusal::OtherApplication, |l| l.challenge.application_id.push('A'))
        .relinked("another user", Refusal::OtherUser, |l| l.challenge.user_id.push('A'))
        .relinked("created after it was settled", Refusal::SettledOutsideLifetime, |l| {
            l.challenge.created_at = at(22);
        })
        .relinked("created when it was settled", None, |l| l.challenge.created_at = at(21))
        .relinked("expired when it was settled", Refusal::SettledOutsideLifetime, |l| {
            l.challenge.expires_at = at(21);
        })
        .relinked("created before the server key", Refusal::ServerKeyNotValid(Part::Challenge), |l| {
            l.challenge.created_at = at(-31 * 86_400);
        })
        .relinked("more digits than were typed", Refusal::MatchCodeForm, |l| {
            l.challenge.match_code_digits = 4;
        })
        .relinked("no digits, and some were typed", Refusal::MatchCodeForm, |l| {
            l.challenge.match_code_digits = 0;
        })
        .relinked("user verification that was not done", Refusal::UserVerificationMissing, |l| {
            l.challenge.user_verification_required = true;
        })
        .relinked("user verification that was done", None, |l| {
            l.challenge.user_verification_required = true;
            l.decision.user_verification = 2;
        })
        .relinked("another attempt", None, |l| l.challenge.attempt_sha256 = attempt_digest("x").to_vec())
        .cases
}

fn decisions() -> Vec<ReceiptCase> {
    Table::new("decision", Login::approved())
        .resigned("server_id", Refusal::OtherServer(Part::Decision), |l| l.decision.server_id.push('A'))
        .resigned("challenge_sha256", Refusal::OtherContent(Part::Decision), |l| {
            l.decision.challenge_sha256[0] ^= 1;
        })
        .resigned("challenge_id", Refusal::OtherChallenge(Part::Decision), |l| {
            l.decision.challenge_id.push('A');
        })
        .resigned("device_id", Refusal::OtherDecision, |l| l.decision.device_id.push('A'))
        .resigned("verdict", Refusal::OtherDecision, |l| l.deny(DenialReason::NotMe))
        .resigned("match_code", Refusal::OtherDecision, |l| l.decision.match_code = "043".into())
        .resigned("user_verification", Refusal::OtherDecision, |l| l.decision.user_verification = 2)
        .resigned("decided_at", Refusal::OtherDecision, |l| l.decision.decided_at = at(19))
        .relinked("device_id", Refusal::OtherDevice(Part::Decision), |l| l.decision.device_id.push('A'))
        .relinked("a denial", Refusal::VerdictDisagrees, |l| l.deny(DenialReason::NotMe))
        .relinked("a match code that is too short", Refusal::MatchCodeForm, |l| {
            l.decision.match_code = "42".into();
        })
        .relinked("no match code", Refusal::MatchCodeForm, |l| l.decision.match_code.clear())
        .relinked("a match code of other digits", Refusal::MatchCodeForm, |l| {
            // Arabic-Indic 1 has two bytes: with one ASCII digit these are three.
            l.decision.match_code = "\u{661}2".into();
        })
        .relinked("a match code with a letter", Refusal::MatchCodeForm, |l| {
            l.decision.match_code = "04a".into();
        })
        .relinked("the device's clock is years off", None, |l| l.decision.decided_at = at(-100_000_000))
        .cases
}

fn denials() -> Vec<ReceiptCase> {
    Table::new("decision of a denial", Login::denied())
        .resigned("denial_reason", Refusal::OtherDecision, |l| l.deny(DenialReason::Mistake))
        .relinked("denial_reason", Refusal::VerdictDisagrees, |l| l.deny(DenialReason::Mistake))
        .relinked("an approval", Refusal::VerdictDisagrees, |l| l.decision = Login::approved().decision)
        .cases
}

fn settlements() -> Vec<ReceiptCase> {
    let state = i32::from(ChallengeState::Denied);
    let of_form = |field: &'static str, problem: &str| Refusal::Envelope {
        part: Part::Settlement,
        fault: EnvelopeFault::Field(FieldFault::new(field, problem)),
    };
    Table::new("settlement", Login::approved())
        .resigned("server_id", Refusal::OtherServer(Part::Settlement), |l| l.settlement.server_id.push('A'))
        .resigned("challenge_sha256", Refusal::OtherContent(Part::Settlement), |l| {
            l.settlement.challenge_sha256[0] ^= 1;
        })
        .resigned("challenge_id", Refusal::OtherChallenge(Part::Settlement), |l| {
            l.settlement.challenge_id.push('A');
        })
        .resigned("state", Refusal::VerdictDisagrees, move |l| {
            l.settlement.state = state;
            l.settlement.denial_reason = 1;
        })
        .resigned("denial_reason", of_form("denial_reason", "must be unset with APPROVED"), |l| {
            l.settlement.denial_reason = 1;
        })
        .resigned(
            "factor_type",
            of_form("factor_type", "must be DEVICE, TOTP or RECOVERY_CODE with APPROVED"),
            |l| l.settlement.factor_type = 0,
        )
        .resigned("factor_id", Refusal::OtherDevice(Part::Settlement), |l| l.settlement.factor_id.push('A'))
        .resigned("decision_sha256", Refusal::OtherDecision, |l| l.settlement.decision_sha256[0] ^= 1)
        .resigned("settled_at before the challenge", Refusal::SettledOutsideLifetime, |l| {
            l.settlement.settled_at = at(-1);
        })
        .resigned("settled_at when it expired", Refusal::SettledOutsideLifetime, |l| {
            l.settlement.settled_at = at(120);
        })
        .resigned("settled_at within the lifetime", None, |l| l.settlement.settled_at = at(119))
        .cases
}

fn denied_settlements() -> Vec<ReceiptCase> {
    let mut no_code_asked = Login::wrong_match_code();
    no_code_asked.challenge.match_code_digits = 0;
    no_code_asked.decision.match_code.clear();
    Table::new("settlement of a denial", Login::denied())
        .resigned("denial_reason", Refusal::VerdictDisagrees, |l| l.settlement.denial_reason = 2)
        .resigned("a wrong match code", Refusal::VerdictDisagrees, |l| l.settlement.denial_reason = 3)
        .resigned("state", Refusal::VerdictDisagrees, |l| {
            l.settlement.state = ChallengeState::Approved.into();
            l.settlement.denial_reason = 0;
        })
        .relinked("a wrong match code where none was asked for", Refusal::VerdictDisagrees, move |l| {
            *l = no_code_asked.clone();
        })
        .cases
}

fn bindings() -> Vec<ReceiptCase> {
    let other_key = Refusal::Envelope { part: Part::Decision, fault: EnvelopeFault::KeyId };
    Table::new("binding", Login::approved())
        .resigned("server_id", Refusal::OtherServer(Part::Binding), |l| l.binding.server_id.push('A'))
        .resigned("application_id", Refusal::OtherApplication, |l| l.binding.application_id.push('A'))
        .resigned("user_id", Refusal::OtherUser, |l| l.binding.user_id.push('A'))
        .resigned("device_id", Refusal::OtherDevice(Part::Binding), |l| l.binding.device_id.push('A'))
        .resigned("public_key", other_key, |l| l.binding.public_key = Some(public("second-device").to_wire()))
        .resigned("bound_at after the settlement", Refusal::BoundAfterSettlement, |l| {
            l.binding.bound_at = at(22);
        })
        .resigned("bound_at before the server key", Refusal::ServerKeyNotValid(Part::Binding), |l| {
            l.binding.bound_at = at(-31 * 86_400);
        })
        // Nothing else in a receipt speaks of these: here the server's word is all there is.
        .resigned("bound_at when it was settled", None, |l| l.binding.bound_at = at(21))
        .resigned("source_sha256", None, |l| l.binding.source_sha256[0] ^= 1)
        .resigned("platform", None, |l| l.binding.platform = 1)
        .cases
}

fn server_keys() -> Vec<ReceiptCase> {
    let not_valid = Refusal::ServerKeyNotValid;
    let foreign = Refusal::Envelope { part: Part::Challenge, fault: EnvelopeFault::KeyId };
    Table::new("server key", Login::approved())
        .resigned("server_id", Refusal::from(ServerKeyFault::OtherServer), |l| {
            l.server_keys[0].0.server_id.push('A');
        })
        .resigned("version, which only a verifier that asks for one compares", None, |l| {
            l.server_keys[0].0.version = 7;
        })
        .resigned("public_key", foreign, |l| {
            l.server_keys[0].0.public_key = Some(public("server-2").to_wire());
        })
        .resigned("not_before after the binding", not_valid(Part::Binding), |l| {
            l.server_keys[0].0.not_before = at(-1);
        })
        .resigned("not_before after the challenge", not_valid(Part::Challenge), |l| {
            l.server_keys[0].0.not_before = at(1);
        })
        .resigned("not_before when it was bound", None, |l| l.server_keys[0].0.not_before = at(-86_400))
        .resigned("not_after when it was settled", not_valid(Part::Settlement), |l| {
            l.server_keys[0].0.not_after = at(21);
        })
        .resigned("not_after just behind the settlement", None, |l| l.server_keys[0].0.not_after = at(22))
        .cases
}
