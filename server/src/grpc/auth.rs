//! Which application calls: `authorization: Bearer csk_...`.

use std::sync::Arc;

use tonic::metadata::MetadataMap;

use crate::{
    api_key::ApiKey,
    core::Core,
    held_key::HeldKey,
    refusal::Refusal,
    store::applications::{ApiKeyRow, Application},
};

/// One sentence for every fault: which part is wrong is not told.
const INVALID: Refusal = Refusal::API_KEY;

/// The application of the API key. Looked up at each call, so that a change holds at once.
pub(super) async fn application(core: &Core, metadata: &MetadataMap) -> Result<Application, Refusal> {
    let (_, application, _) = proven(core, metadata).await?;
    Ok(application)
}

/// The same, for a call that waits: it has to look again before it tells anything.
pub(super) async fn held_key(core: &Arc<Core>, metadata: &MetadataMap) -> Result<HeldKey, Refusal> {
    let (key, application, row) = proven(core, metadata).await?;
    Ok(HeldKey::new(core, application, key.key_id(), row.tag))
}

async fn proven(core: &Core, metadata: &MetadataMap) -> Result<(ApiKey, Application, ApiKeyRow), Refusal> {
    let mut headers = metadata.get_all("authorization").iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return Err(INVALID) };
    let header = header.to_str().map_err(|_| INVALID)?;
    let (scheme, token) = header.split_once(' ').ok_or(INVALID)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(INVALID);
    }
    let key: ApiKey = token.trim().parse().map_err(|_| INVALID)?;
    let (application, row) = core.applications.by_key(key.id().to_owned()).await?.ok_or(INVALID)?;
    let tag = key.tag(&core.keyring, &application.id.to_string());
    if tag.matches(&row.tag) { Ok((key, application, row)) } else { Err(INVALID) }
}
