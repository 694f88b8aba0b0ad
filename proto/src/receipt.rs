//! Checks a receipt from the pinned server id alone, and tells in words what it proves.
//!
//! ```text
//!  server_id (pinned) = thumbprint of the root key
//!      root key ── signs ──> server keys ── sign ──> challenge   binding   settlement
//!                                                        ^          │          │
//!                                       digest, ids      │          │ key      │ digests, ids, time
//!                                                        └───── decision <─────┘
//! ```
//!
//! Where a code settled it, or the server by itself, there is neither decision nor binding: such a receipt
//! proves what the server said, and no more.

mod device;
mod proof;
mod refusal;
mod words;

use sha2::{Digest as _, Sha256};

use crate::{
    common::FactorType,
    envelope::{self, Afresh, CheckSignature, EnvelopeFault},
    key::VerificationKey,
    statement::{BindingStatement, ChallengeStatement, Envelope, Purpose, Receipt, SettlementStatement},
    statement_form::Statement,
    time::UnixTime,
    trust::{ServerKey, ServerKeyFault},
};

pub use proof::Proof;
pub use refusal::{Part, Refusal};
pub use words::purpose_in_words;

/// At most challenge, settlement and binding are signed by a server key: there is no use for a fourth.
const MAX_SERVER_KEYS: usize = 3;

/// What the verifier already knows and the receipt must agree with. What is `None` is not compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// The application's id.
    pub application_id: Option<&'a str>,
    /// The application's own id of the person.
    pub user_id: Option<&'a str>,
    /// The login attempt.
    pub attempt_id: Option<&'a str>,
    /// What the approval is to be used for.
    pub purpose: Option<Purpose>,
    /// Server keys of a lower version are refused.
    pub min_key_version: Option<u64>,
}

/// A receipt in which everything holds together. A denial holds together too: whether it approves is what
/// `settlement.state` says.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedReceipt {
    /// What was asked; a device that answered has shown it.
    pub challenge: ChallengeStatement,
    /// What came of it, and what settled it.
    pub settlement: SettlementStatement,
    /// What stands behind the settlement.
    pub by: Proof,
    /// The lowest version among the server keys that signed.
    pub key_version: u64,
}

/// Checks `receipt` given the `server_id` that the verifier pinned.
pub fn verify(
    receipt: &Receipt,
    server_id: &str,
    expected: &Expected<'_>,
) -> Result<VerifiedReceipt, Refusal> {
    verify_with(receipt, server_id, expected, &Afresh)
}

/// [`verify`], with signatures checked by `signatures`: for who checks many receipts that have statements in
/// common, and remembers what it found good.
pub fn verify_with(
    receipt: &Receipt,
    server_id: &str,
    expected: &Expected<'_>,
    signatures: &impl CheckSignature,
) -> Result<VerifiedReceipt, Refusal> {
    let root = VerificationKey::from_wire(receipt.root_key.as_ref()).map_err(Refusal::RootKey)?;
    if root.thumbprint() != server_id {
        return Err(Refusal::RootKeyNotPinned);
    }
    let mut keys = ServerKeys::open(receipt, root, signatures)?;
    let (challenge, challenge_key): (ChallengeStatement, _) =
        keys.open_part(Part::Challenge, receipt.challenge.as_ref(), signatures)?;
    let (settlement, settlement_key): (SettlementStatement, _) =
        keys.open_part(Part::Settlement, receipt.settlement.as_ref(), signatures)?;
    let (by, binding_key) = if settlement.factor_type() == FactorType::Device {
        let (binding, key): (BindingStatement, _) =
            keys.open_part(Part::Binding, receipt.binding.as_ref(), signatures)?;
        keys.check_all_used()?;
        let decision = device::open_decision(receipt, &challenge, &settlement, &binding, signatures)?;
        (Proof::Device { decision, binding }, Some(key))
    } else {
        check_no_device(receipt)?;
        keys.check_all_used()?;
        (Proof::Server, None)
    };

    let key_version = keys.lowest_version();
    let verified = VerifiedReceipt { challenge, settlement, by, key_version };
    verified.check_servers(server_id)?;
    verified.check_challenges(receipt)?;
    if let Proof::Device { decision, binding } = &verified.by {
        device::check_decision(receipt, &verified.settlement)?;
        device::check_device(&verified.challenge, decision, binding)?;
    }
    verified.check_times(challenge_key, settlement_key, binding_key)?;
    if let Proof::Device { decision, .. } = &verified.by {
        device::check_verdict(&verified.challenge, decision, &verified.settlement)?;
    }
    verified.check_expected(expected)?;
    Ok(verified)
}

/// Where no device decided, a device's answer or key would look like a proof and be none.
fn check_no_device(receipt: &Receipt) -> Result<(), Refusal> {
    for (part, envelope) in [(Part::Decision, &receipt.decision), (Part::Binding, &receipt.binding)] {
        if envelope.is_some() {
            return Err(Refusal::Unexpected(part));
        }
    }
    Ok(())
}

/// The server keys of a receipt, and which of them signed something.
struct ServerKeys(Vec<(ServerKey, bool)>);

impl ServerKeys {
    fn open(
        receipt: &Receipt,
        root: VerificationKey,
        signatures: &impl CheckSignature,
    ) -> Result<Self, Refusal> {
        // Checked before any signature is, so that a long list costs nothing.
        if receipt.server_keys.len() > MAX_SERVER_KEYS {
            return Err(Refusal::ServerKeyUnused);
        }
        let open = |key| ServerKey::open_with(key, root, signatures);
        let keys: Result<_, ServerKeyFault> =
            receipt.server_keys.iter().map(|key| Ok((open(key)?, false))).collect();
        Ok(Self(keys?))
    }

    /// Opens `envelope` with the key that signed it, whichever that is: `keyid` is a hint.
    fn open_part<S: Statement>(
        &mut self,
        part: Part,
        envelope: Option<&Envelope>,
        signatures: &impl CheckSignature,
    ) -> Result<(S, ServerKey), Refusal> {
        // The key that came furthest says most about what is wrong, in whatever order the keys stand.
        let progress = |fault: &EnvelopeFault| match fault {
            EnvelopeFault::SignatureCount(_) | EnvelopeFault::NewKey(_) | EnvelopeFault::KeyId => 0,
            EnvelopeFault::Signature => 1,
            _ => 2,
        };
        let envelope = envelope.ok_or(Refusal::Missing(part))?;
        let mut furthest = None;
        for (key, used) in &mut self.0 {
            match signatures.check(envelope, key.key).and_then(|()| envelope::read(envelope)) {
                Ok(statement) => {
                    *used = true;
                    return Ok((statement, *key));
                }
                Err(fault) if furthest.as_ref().is_none_or(|best| progress(&fault) > progress(best)) => {
                    furthest = Some(fault);
                }
                Err(_) => {}
            }
        }
        Err(Refusal::Envelope { part, fault: furthest.unwrap_or(EnvelopeFault::Signature) })
    }

    fn check_all_used(&self) -> Result<(), Refusal> {
        if self.0.iter().all(|&(_, used)| used) { Ok(()) } else { Err(Refusal::ServerKeyUnused) }
    }

    fn lowest_version(&self) -> u64 {
        self.0.iter().map(|(key, _)| key.version).min().unwrap_or(0)
    }
}

impl VerifiedReceipt {
    fn check_servers(&self, server_id: &str) -> Result<(), Refusal> {
        let named = [
            (Part::Challenge, Some(&self.challenge.server_id)),
            (Part::Decision, self.by.decision().map(|decision| &decision.server_id)),
            (Part::Settlement, Some(&self.settlement.server_id)),
            (Part::Binding, self.by.binding().map(|binding| &binding.server_id)),
        ];
        match named.iter().find(|(_, name)| name.is_some_and(|name| name != server_id)) {
            Some(&(part, _)) => Err(Refusal::OtherServer(part)),
            None => Ok(()),
        }
    }

    /// All are about one challenge and its exact bytes. The part that differs from both others is the
    /// foreign one; where there is no decision, nothing tells which it is, and the settlement is named.
    fn check_challenges(&self, receipt: &Receipt) -> Result<(), Refusal> {
        let odd = |by_decision: bool, by_settlement: bool| match (by_decision, by_settlement) {
            (true, true) => None,
            (false, false) => Some(Part::Challenge),
            (false, true) => Some(Part::Decision),
            (true, false) => Some(Part::Settlement),
        };
        let decision = self.by.decision();
        let id = &self.challenge.challenge_id;
        let by_decision = decision.is_none_or(|decision| decision.challenge_id == *id);
        if let Some(part) = odd(by_decision, self.settlement.challenge_id == *id) {
            return Err(Refusal::OtherChallenge(part));
        }
        let digest = receipt.challenge.as_ref().map(envelope::payload_digest).unwrap_or_default();
        let by_decision = decision.is_none_or(|decision| decision.challenge_sha256 == digest);
        match odd(by_decision, self.settlement.challenge_sha256 == digest) {
            Some(part) => Err(Refusal::OtherContent(part)),
            None => Ok(()),
        }
    }

    fn check_times(
        &self,
        challenge_key: ServerKey,
        settlement_key: ServerKey,
        binding_key: Option<ServerKey>,
    ) -> Result<(), Refusal> {
        let time = |value| UnixTime::from_wire(value).expect("checked when it was read");
        let created_at = time(self.challenge.created_at.as_ref());
        let expires_at = time(self.challenge.expires_at.as_ref());
        let settled_at = time(self.settlement.settled_at.as_ref());
        let bound_at = self.by.binding().map(|binding| time(binding.bound_at.as_ref()));
        for (part, key, at) in [
            (Part::Challenge, Some(challenge_key), Some(created_at)),
            (Part::Settlement, Some(settlement_key), Some(settled_at)),
            (Part::Binding, binding_key, bound_at),
        ] {
            if key.zip(at).is_some_and(|(key, at)| !key.is_valid_at(at)) {
                return Err(Refusal::ServerKeyNotValid(part));
            }
        }
        if settled_at < created_at || settled_at >= expires_at {
            Err(Refusal::SettledOutsideLifetime)
        } else if bound_at.is_some_and(|bound_at| bound_at > settled_at) {
            Err(Refusal::BoundAfterSettlement)
        } else {
            Ok(())
        }
    }

    fn check_expected(&self, expected: &Expected<'_>) -> Result<(), Refusal> {
        if expected.application_id.is_some_and(|id| id != self.challenge.application_id) {
            return Err(Refusal::NotExpectedApplication);
        }
        if expected.user_id.is_some_and(|id| id != self.challenge.user_id) {
            return Err(Refusal::NotExpectedUser);
        }
        if expected.attempt_id.is_some_and(|id| attempt_digest(id) != *self.challenge.attempt_sha256) {
            return Err(Refusal::NotExpectedAttempt);
        }
        if expected.purpose.is_some_and(|purpose| purpose != self.challenge.purpose()) {
            return Err(Refusal::NotExpectedPurpose);
        }
        match expected.min_key_version {
            Some(least) if self.key_version < least => {
                Err(Refusal::ServerKeyTooOld { version: self.key_version, least })
            }
            _ => Ok(()),
        }
    }
}

/// SHA-256 of an attempt id: how a challenge names its attempt.
pub fn attempt_digest(attempt_id: &str) -> [u8; 32] {
    Sha256::digest(attempt_id).into()
}
