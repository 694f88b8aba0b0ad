//! Receipts: which hold together, and for each part and field that does not, the refusal.

mod codes;
mod fields;
mod swaps;
mod tampered;

use countersign_proto::{
    receipt::{Expected, Refusal},
    statement::{Purpose, Receipt},
};

use crate::fixture::{APPLICATION_ID, ATTEMPT_ID, Login, USER_ID, server_id};

/// What the verifier of a case knows.
#[derive(Clone, Default)]
pub(crate) struct Knowledge {
    /// `None`: the fixture's server.
    pub(crate) server_id: Option<String>,
    pub(crate) application_id: Option<&'static str>,
    pub(crate) user_id: Option<&'static str>,
    pub(crate) attempt_id: Option<&'static str>,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) min_key_version: Option<u64>,
}

impl Knowledge {
    /// All that there is to know of [`Login::approved`].
    fn all() -> Self {
        Self {
            server_id: None,
            application_id: Some(APPLICATION_ID),
            user_id: Some(USER_ID),
            attempt_id: Some(ATTEMPT_ID),
            purpose: Some(Purpose::Login),
            min_key_version: Some(1),
        }
    }

    /// The pinned server.
    pub(crate) fn server_id(&self) -> String {
        self.server_id.clone().unwrap_or_else(server_id)
    }

    /// The rest.
    pub(crate) fn expected(&self) -> Expected<'static> {
        Expected {
            application_id: self.application_id,
            user_id: self.user_id,
            attempt_id: self.attempt_id,
            purpose: self.purpose,
            min_key_version: self.min_key_version,
        }
    }
}

/// A receipt, and what must come of checking it.
pub(crate) struct ReceiptCase {
    /// Unique in its table.
    pub(crate) name: String,
    pub(crate) receipt: Receipt,
    pub(crate) knowledge: Knowledge,
    /// `None`: it holds together.
    pub(crate) refusal: Option<Refusal>,
}

/// Every line of every table.
pub(crate) fn cases() -> Vec<ReceiptCase> {
    [good(), expected(), swaps::cases(), tampered::cases(), fields::cases(), codes::cases()]
        .into_iter()
        .flatten()
        .collect()
}

fn case(name: impl Into<String>, receipt: Receipt, refusal: impl Into<Option<Refusal>>) -> ReceiptCase {
    ReceiptCase { name: name.into(), receipt, knowledge: Knowledge::default(), refusal: refusal.into() }
}

fn good() -> Vec<ReceiptCase> {
    let mut any_order = Login::rolled_over().receipt();
    any_order.server_keys.reverse();
    vec![
        case("approved", Login::approved().receipt(), None),
        case("denied: not me", Login::denied().receipt(), None),
        case("denied: wrong match code", Login::wrong_match_code().receipt(), None),
        case("two server keys", Login::rolled_over().receipt(), None),
        case("two server keys in the other order", any_order, None),
        case("another user's", Login::of_other_user().receipt(), None),
        case("another challenge's", Login::of_other_challenge().receipt(), None),
        case("another device's", Login::of_other_device().receipt(), None),
        ReceiptCase {
            knowledge: Knowledge { server_id: Some(other_server_id()), ..Knowledge::default() },
            ..case("another server's, which is the pinned one", Login::of_other_server().receipt(), None)
        },
    ]
}

fn other_server_id() -> String {
    crate::fixture::public("other-root").thumbprint()
}

/// What the verifier knows already, right and wrong.
fn expected() -> Vec<ReceiptCase> {
    let all = Knowledge::all();
    let line = |what: &str, login: Login, knowledge: Knowledge, refusal: Option<Refusal>| ReceiptCase {
        knowledge,
        ..case(format!("expected: {what}"), login.receipt(), refusal)
    };
    let wrong = |what, knowledge, refusal| line(what, Login::approved(), knowledge, Some(refusal));
    let too_old = |version, least| Refusal::ServerKeyTooOld { version, least };
    vec![
        line("all of it", Login::approved(), all.clone(), None),
        line("all of it, of a denial", Login::denied(), all.clone(), None),
        wrong(
            "another application",
            Knowledge { application_id: Some("app_other"), ..all.clone() },
            Refusal::NotExpectedApplication,
        ),
        wrong("another user", Knowledge { user_id: Some("u-0815"), ..all.clone() }, Refusal::NotExpectedUser),
        wrong(
            "another attempt",
            Knowledge { attempt_id: Some("attempt-2"), ..all.clone() },
            Refusal::NotExpectedAttempt,
        ),
        wrong(
            "another purpose",
            Knowledge { purpose: Some(Purpose::ManageFactors), ..all.clone() },
            Refusal::NotExpectedPurpose,
        ),
        wrong("a higher key version", Knowledge { min_key_version: Some(2), ..all.clone() }, too_old(1, 2)),
        line(
            "a higher key version than the binding's",
            Login::rolled_over(),
            Knowledge { min_key_version: Some(2), ..all },
            Some(too_old(1, 2)),
        ),
    ]
}
