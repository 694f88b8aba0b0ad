//! What a call brings besides its message.

use countersign_proto::statement::{Envelope, PublicKey};
use prost::Message;
use tonic::{Request, metadata::MetadataMap};

use crate::{
    call::Caller,
    core::{Core, Wait},
    login::duration,
    refusal::Refusal,
    wire::Deadline,
};

/// The device that makes a call of `method`, proven by `countersign-call-bin` and `countersign-key-bin`.
pub(super) fn caller<T>(core: &Core, method: &str, request: &Request<T>) -> Result<Caller, Refusal> {
    let call: Option<Envelope> = binary(request.metadata(), "countersign-call-bin")?;
    let key: Option<PublicKey> = binary(request.metadata(), "countersign-key-bin")?;
    Caller::prove(core, method, call.as_ref(), key.as_ref())
}

/// How long the call wants to wait, and may.
pub(super) fn wait<T>(request: &Request<T>, asked: Option<&pbjson_types::Duration>) -> Result<Wait, Refusal> {
    let asked = asked.map(|asked| duration("wait", asked)).transpose()?;
    Ok(Wait { asked, deadline: request.extensions().get::<Deadline>().map(Deadline::left) })
}

/// A metadata entry that holds one message. Given twice, or not decodable: no credential that counts.
fn binary<M: Message + Default>(metadata: &MetadataMap, key: &'static str) -> Result<Option<M>, Refusal> {
    let mut entries = metadata.get_all_bin(key).iter();
    let Some(entry) = entries.next() else { return Ok(None) };
    if entries.next().is_some() {
        return Err(Refusal::SIGNATURE);
    }
    let bytes = entry.to_bytes().map_err(|_| Refusal::SIGNATURE)?;
    M::decode(bytes).map(Some).map_err(|_| Refusal::SIGNATURE)
}
