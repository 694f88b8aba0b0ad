//! Why something could not be done, named by what the caller can do about it.

use std::time::Duration;

use countersign_proto::{
    common::ErrorReason, envelope::EnvelopeFault, link::LinkFault, statement_form::FieldFault,
    time::UnixTime, trust::ServerKeyFault,
};

use crate::state::{PassphraseFault, StateFault};

/// A failure. Its text is a sentence for a person and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Ask for another link.
    #[error("{0}")]
    Link(#[from] LinkFault),
    /// Ask for another link, or correct the clock.
    #[error(
        "the link's time is over since {expires_at} (this machine's clock says {now}): ask for a new link, or \
         correct this machine's clock"
    )]
    OfferExpired {
        /// By the server's clock.
        expires_at: UnixTime,
        /// By this device's clock.
        now: UnixTime,
    },
    /// Do not go on: what the server sent does not hold. Nothing was answered.
    #[error("not trusted, and nothing was answered: {0}")]
    Untrusted(#[from] Distrust),
    /// The server says no; see its reason.
    #[error("{0}")]
    Refused(Refusal),
    /// Try again: nobody answered, and the outcome is unknown. The same call again finds it out.
    #[error("{origin} cannot be reached: {problem}; try again")]
    Unreachable {
        /// The server's address.
        origin: String,
        /// What happened on the way.
        problem: String,
    },
    /// Check the address: what answers there does not speak this protocol.
    #[error("{origin} does not answer as a Countersign server does: {problem}; check the address")]
    Unintelligible {
        /// The server's address.
        origin: String,
        /// What it did.
        problem: String,
    },
    /// The server has no such challenge for this device.
    #[error(
        "there is no challenge {0:?} for this device: it may have ended long ago, or be for another device"
    )]
    ChallengeNotFound(String),
    /// Two servers claim the same challenge id: say which account is meant.
    #[error("more than one account has a challenge {0:?}; say which is meant with --account")]
    SeveralChallenges(String),
    /// No such account in the state directory.
    #[error("there is no account {0:?} on this device; `accounts` lists them")]
    AccountNotFound(String),
    /// The server gave this account nothing to make codes of, or of a kind that this agent does not know.
    #[error("the account {0:?} has no codes; a device that is enrolled anew gets them")]
    NoCodes(String),
    /// What was typed is not the form of a match code. No try was used.
    #[error(
        "the match code must be exactly {digits} digits, as the login page shows them; nothing was sent, and no \
         try was used"
    )]
    MatchCode {
        /// How many are asked for.
        digits: u32,
    },
    /// A match code was given for a challenge that asks for none.
    #[error("this challenge asks for no match code; approve it without one")]
    MatchCodeNotAsked,
    /// The challenge asks for PIN or biometric, and none was used.
    #[error("this challenge asks for a PIN or biometric, which was not used; nothing was sent")]
    UserVerificationRequired,
    /// The challenge was fetched by another account.
    #[error("the challenge belongs to another account on this device")]
    OtherAccount,
    /// A value that was given here is not allowed.
    #[error("{0}")]
    Field(#[from] FieldFault),
    /// The extra certificate authority is no certificate in PEM form.
    #[error("the CA file cannot be used: {0}")]
    CaCertificate(String),
    /// This can be no passphrase.
    #[error("{0}")]
    Passphrase(#[from] PassphraseFault),
    /// The state directory or a file in it.
    #[error("{0}")]
    State(#[from] StateFault),
}

/// What does not hold in what a server sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// A server key that the pinned root does not vouch for.
    #[error("{0}; this is not the server that was enrolled with")]
    ServerKey(#[from] ServerKeyFault),
    /// A lower version than was seen before.
    #[error(
        "the server offers key version {offered}, but version {known} has been seen: an old key came back"
    )]
    ServerKeyRolledBack {
        /// As received.
        offered: u64,
        /// The highest seen.
        known: u64,
    },
    /// The same version with another key or another time.
    #[error("the server's key of version {0} is not the one that was seen under this version")]
    ServerKeyExchanged(u64),
    /// Signed by a key that is not known, also after asking the server for its present one.
    #[error("it is signed by a key that is not known to be the server's")]
    ServerKeyUnknown,
    /// Signed outside the key's time.
    #[error("the server's key of version {version} is not valid at {at}")]
    ServerKeyNotValid {
        /// Of the key.
        version: u64,
        /// When it was used.
        at: UnixTime,
    },
    /// Signed by a key whose successor is in force.
    #[error("the server's key of version {0} has been replaced by a newer one")]
    ServerKeyReplaced(u64),
    /// Wrong signature, changed bytes, or a form that is not allowed.
    #[error("the {what} does not hold: {fault}")]
    Envelope {
        /// Which statement.
        what: &'static str,
        /// Why.
        fault: EnvelopeFault,
    },
    /// The statement is not in the answer.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// It names another server.
    #[error("the {0} names another server")]
    OtherServer(&'static str),
    /// The offer is for another link.
    #[error("the offer was made for another link")]
    OtherToken,
    /// The challenge is another application's.
    #[error("the challenge names another application than the one that was accepted")]
    OtherApplication,
    /// The challenge is for somebody else.
    #[error("the challenge names another user than the one that was accepted")]
    OtherUser,
    /// Another challenge than the one that was asked for.
    #[error("the server sent another challenge than was asked for")]
    OtherChallenge,
    /// The server speaks of another device.
    #[error("the server speaks of another device")]
    OtherDevice,
    /// It lives longer than any challenge may.
    #[error("the challenge's lifetime is longer than the 10 minutes that are allowed")]
    LifetimeTooLong,
}

/// The server's no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct Refusal {
    /// An [`ErrorReason`]'s name without its prefix, such as `RATE_LIMITED`; may be one that is not known here.
    pub reason: String,
    /// The server's sentence, with the faulty fields where it names some.
    pub message: String,
    /// Not to be tried again before.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether this is the reason.
    pub fn is(&self, reason: ErrorReason) -> bool {
        reason.as_str_name().strip_prefix("ERROR_REASON_") == Some(self.reason.as_str())
    }
}

impl Error {
    /// Whether the server refused for this reason.
    pub fn is_refused(&self, reason: ErrorReason) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is(reason))
    }
}
