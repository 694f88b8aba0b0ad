//! Why a receipt proves nothing: one refusal for each check.

use std::fmt;

use crate::{envelope::EnvelopeFault, key::KeyFault, trust::ServerKeyFault};

/// A part of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What was asked.
    Challenge,
    /// What the device answered.
    Decision,
    /// What came of it.
    Settlement,
    /// Whose key it was.
    Binding,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No root key, or one that nobody should trust.
    #[error("the root key cannot be used: {0}")]
    RootKey(KeyFault),
    /// Another server's receipt.
    #[error("the root key is not the pinned one: this receipt comes from another server")]
    RootKeyNotPinned,
    /// A server key that this root does not vouch for.
    #[error(transparent)]
    ServerKey(#[from] ServerKeyFault),
    /// A server key that signed nothing here, or stands twice.
    #[error("the receipt carries a server key that signed nothing in it")]
    ServerKeyUnused,
    /// A part is not there.
    #[error("the {0} is missing")]
    Missing(Part),
    /// A device's answer, or whose device it is, where no device settled it.
    #[error("the {0} does not belong here: the settlement says that no device settled it")]
    Unexpected(Part),
    /// A part whose signature, type, encoding or values do not hold.
    #[error("the {part} does not hold: {fault}")]
    Envelope {
        /// Which.
        part: Part,
        /// Why.
        fault: EnvelopeFault,
    },
    /// The server key was not valid when it signed.
    #[error("the server key was not valid at the time at which the {0} says it was signed")]
    ServerKeyNotValid(Part),
    /// A server key of a lower version than asked for.
    #[error("signed under server key version {version}, which is below the {least} that is asked for")]
    ServerKeyTooOld {
        /// Of the key.
        version: u64,
        /// Asked for.
        least: u64,
    },
    /// A part names another server.
    #[error("the {0} names another server")]
    OtherServer(Part),
    /// A part belongs to another challenge.
    #[error("the {0} belongs to another challenge")]
    OtherChallenge(Part),
    /// Same id, but other content than what was answered.
    #[error("the {0} is about other content of this challenge: what was shown is not what was signed")]
    OtherContent(Part),
    /// The settlement is about another answer.
    #[error("the settlement is about another decision")]
    OtherDecision,
    /// A part names another device.
    #[error("the {0} names another device")]
    OtherDevice(Part),
    /// The device belongs to another application.
    #[error("the device is bound to another application")]
    OtherApplication,
    /// The device belongs to somebody else.
    #[error("the device is bound to another user")]
    OtherUser,
    /// Before it was asked, or when its time was over.
    #[error("it was settled outside the challenge's lifetime")]
    SettledOutsideLifetime,
    /// Answered by a key that was not yet the user's.
    #[error("the device was bound after the settlement")]
    BoundAfterSettlement,
    /// The server says other than the device.
    #[error("the settlement says other than the decision")]
    VerdictDisagrees,
    /// An approval without the match code that was asked for, or with one that was not.
    #[error("the decision's match code has not the form that was asked for")]
    MatchCodeForm,
    /// An approval without the PIN or biometric that was asked for.
    #[error("user verification was required, and the decision has none")]
    UserVerificationMissing,
    /// Not the expected application's.
    #[error("the receipt is of another application than expected")]
    NotExpectedApplication,
    /// Not the expected user's.
    #[error("the receipt is of another user than expected")]
    NotExpectedUser,
    /// Not the expected attempt's.
    #[error("the receipt is of another login attempt than expected")]
    NotExpectedAttempt,
    /// Not for the expected purpose.
    #[error("the receipt is for another purpose than expected")]
    NotExpectedPurpose,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Challenge => "challenge",
            Self::Decision => "decision",
            Self::Settlement => "settlement",
            Self::Binding => "binding",
        })
    }
}
