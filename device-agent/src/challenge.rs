//! A challenge that may be shown and answered, because everything about it was verified.

use std::time::Duration;

use countersign_proto::{
    common::{ChallengeState, DenialReason},
    device::Challenge,
    envelope,
    receipt::purpose_in_words,
    statement::{ChallengeStatement, Detail, Purpose},
    text,
    time::UnixTime,
};

use crate::{
    error::Distrust,
    offer::duration,
    server_keys::{LONGEST_LIFETIME, ServerKeys},
    state::Identity,
};

/// A challenge whose signature leads to the pinned root key, and which is for this account.
///
/// There is no other way to one than [`Account::challenge`](crate::Account::challenge),
/// [`Account::pending`](crate::Account::pending) and [`Account::subscribe`](crate::Account::subscribe), so nothing else can be answered.
#[derive(Clone, Debug)]
pub struct VerifiedChallenge {
    statement: ChallengeStatement,
    pub(crate) digest: [u8; 32],
    pub(crate) device_id: String,
    application_name: String,
    account_name: String,
    server: String,
    state: ChallengeState,
    denial_reason: Option<DenialReason>,
    time_left: Duration,
}

/// One line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// What the challenge says.
    pub value: String,
    /// One of the challenge's details, which the application may word as it likes: show it apart, so that none
    /// passes for one of the other lines.
    pub is_detail: bool,
}

impl VerifiedChallenge {
    /// What the server signed, field by field.
    pub fn statement(&self) -> &ChallengeStatement {
        &self.statement
    }

    /// `chl_...`
    pub fn id(&self) -> &str {
        &self.statement.challenge_id
    }

    /// The application's name, from the offer that was accepted.
    pub fn application_name(&self) -> &str {
        &self.application_name
    }

    /// The account's name, from the offer that was accepted.
    pub fn account_name(&self) -> &str {
        &self.account_name
    }

    /// What an approval would do.
    pub fn purpose(&self) -> Purpose {
        self.statement.purpose()
    }

    /// What else is to be shown, in this order, also what is of an unknown kind.
    pub fn details(&self) -> &[Detail] {
        &self.statement.details
    }

    /// By the server's clock.
    pub fn created_at(&self) -> UnixTime {
        UnixTime::from_wire(self.statement.created_at.as_ref()).expect("checked when it was read")
    }

    /// By the server's clock.
    pub fn expires_at(&self) -> UnixTime {
        UnixTime::from_wire(self.statement.expires_at.as_ref()).expect("checked when it was read")
    }

    /// Digits of the match code; 0: none is asked for.
    pub fn match_code_digits(&self) -> u32 {
        self.statement.match_code_digits
    }

    /// An approval needs a PIN or biometric.
    pub fn user_verification_required(&self) -> bool {
        self.statement.user_verification_required
    }

    /// Where it stood when it was fetched. The server's word, not signed; `Unspecified` when it is a state that
    /// this agent does not know.
    pub fn state(&self) -> ChallengeState {
        self.state
    }

    /// With a denied one. The server's word, not signed.
    pub fn denial_reason(&self) -> Option<DenialReason> {
        self.denial_reason
    }

    /// How long it could still be answered when it was fetched. The server's word, not signed.
    pub fn time_left(&self) -> Duration {
        self.time_left
    }

    /// Every field, in words and safe for a terminal: a person must see all that he approves.
    pub fn shown(&self) -> Vec<Line> {
        /// Ids are not held to the rules of shown text by their form.
        const MAX_ID_CHARS: usize = 256;
        let id = |text: &str| text::sanitized(text, MAX_ID_CHARS);
        let line = |label: &str, value: String| Line { label: label.to_owned(), value, is_detail: false };
        let mut lines = vec![
            line("Purpose", purpose_in_words(self.purpose()).to_owned()),
            line(
                "Application",
                format!("{} ({})", self.application_name, id(&self.statement.application_id)),
            ),
            line("Account", format!("{} (user {})", self.account_name, id(&self.statement.user_id))),
        ];
        lines.extend(self.details().iter().map(|detail| Line {
            label: detail.label.clone(),
            value: detail.value.clone(),
            is_detail: true,
        }));
        lines.extend([
            line("Asked at", self.created_at().to_string()),
            line("Answer until", format!("{} ({} s left)", self.expires_at(), self.time_left.as_secs())),
            line(
                "Match code",
                match self.match_code_digits() {
                    0 => "not asked for".to_owned(),
                    digits => format!("{digits} digits, as the login page shows them"),
                },
            ),
            line(
                "PIN or biometric",
                if self.user_verification_required() { "required" } else { "not required" }.to_owned(),
            ),
            line("Challenge", id(self.id())),
            line("Login attempt", data_encoding::BASE64URL_NOPAD.encode(&self.statement.attempt_sha256)),
            line("Server", format!("{} ({})", self.server, id(&self.statement.server_id))),
        ]);
        lines
    }
}

/// Verifies what the server sent as the challenge `wanted`, or as one of its list.
pub(crate) fn verify(
    challenge: &Challenge,
    wanted: Option<&str>,
    account: &Identity,
    keys: &ServerKeys,
    now: UnixTime,
) -> Result<VerifiedChallenge, Distrust> {
    let envelope = challenge.envelope.as_ref().ok_or(Distrust::Missing("challenge"))?;
    let signer = keys.signer_of(envelope).ok_or(Distrust::ServerKeyUnknown)?;
    let statement: ChallengeStatement = envelope::open(envelope, signer.key)
        .map_err(|fault| Distrust::Envelope { what: "challenge", fault })?;
    let verified = VerifiedChallenge {
        digest: envelope::payload_digest(envelope),
        device_id: account.device_id.clone(),
        application_name: account.application_name.clone(),
        account_name: account.account_name.clone(),
        server: account.origin.clone(),
        state: ChallengeState::try_from(challenge.state).unwrap_or_default(),
        denial_reason: known_reason(challenge.denial_reason),
        time_left: duration(challenge.time_left.as_ref()),
        statement,
    };
    let (created_at, expires_at) = (verified.created_at(), verified.expires_at());
    keys.check_in_force(&signer, created_at, expires_at, now)?;
    if expires_at.since(created_at) > LONGEST_LIFETIME {
        return Err(Distrust::LifetimeTooLong);
    }
    check_fits(&verified.statement, account)?;
    // The id beside the envelope finds it, the signed one counts: they must be one.
    if verified.id() != wanted.unwrap_or(&challenge.challenge_id) {
        return Err(Distrust::OtherChallenge);
    }
    Ok(verified)
}

/// A challenge for somebody else may be signed as well as it likes.
fn check_fits(statement: &ChallengeStatement, account: &Identity) -> Result<(), Distrust> {
    if statement.server_id != account.server_id {
        return Err(Distrust::OtherServer("challenge"));
    }
    if statement.application_id != account.application_id {
        return Err(Distrust::OtherApplication);
    }
    if statement.user_id == account.user_id { Ok(()) } else { Err(Distrust::OtherUser) }
}

/// A reason that is given; one that is not known here is none.
pub(crate) fn known_reason(wire: i32) -> Option<DenialReason> {
    DenialReason::try_from(wire).ok().filter(|reason| *reason != DenialReason::Unspecified)
}
