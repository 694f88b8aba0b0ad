//! The server's signed word on what settled a challenge.

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    operation::{PreparedSettlement, SignSettlement, Signed},
};
use countersign_proto::{envelope, statement::SettlementStatement};
use prost::Message as _;

use crate::{core::Core, server_keys::NoValidKey};

/// A settlement, signed beforehand for `at`, and the means to sign it for another time. What `unsigned` says of
/// server, challenge and time is replaced.
pub fn sign(
    core: &Arc<Core>,
    challenge: &ChallengeRecord,
    unsigned: SettlementStatement,
    at: UnixTime,
) -> Result<PreparedSettlement, NoValidKey> {
    let unsigned = SettlementStatement {
        server_id: core.server_keys.server_id().to_owned(),
        challenge_sha256: envelope::payload_digest(&challenge.envelope()).to_vec(),
        challenge_id: challenge.id.to_string(),
        ..unsigned
    };
    let signer = Arc::clone(core);
    let sign: SignSettlement = Arc::new(move |at: UnixTime| {
        let settlement = SettlementStatement { settled_at: Some(at.to_wire()), ..unsigned.clone() };
        // Without a valid key nothing is signed, and what is not signed is never redeemed.
        signer.server_keys.sign(&settlement, at).map(|envelope| envelope.encode_to_vec()).unwrap_or_default()
    });
    let envelope = sign(at);
    if envelope.is_empty() {
        return Err(NoValidKey);
    }
    Ok(PreparedSettlement { signed: Signed { at, envelope }, sign })
}
