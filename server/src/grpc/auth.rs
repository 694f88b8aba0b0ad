//! Which application calls: `authorization: Bearer csk_...`.

use tonic::metadata::MetadataMap;

use crate::{api_key::ApiKey, core::Core, refusal::Refusal, store::applications::Application};

/// One sentence for every fault: which part is wrong is not told.
const INVALID: Refusal = Refusal::CredentialInvalid(
    "the API key is missing, unknown or wrong: send it as 'authorization: Bearer csk_...' \
     (`countersign app create` prints one)",
);

/// The application of the API key. Looked up at each call, so that a change holds at once.
pub(super) async fn application(core: &Core, metadata: &MetadataMap) -> Result<Application, Refusal> {
    let mut headers = metadata.get_all("authorization").iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return Err(INVALID) };
    let header = header.to_str().map_err(|_| INVALID)?;
    let (scheme, token) = header.split_once(' ').ok_or(INVALID)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(INVALID);
    }
    let key: ApiKey = token.trim().parse().map_err(|_| INVALID)?;
    let (application, stored) = core.applications.by_key(key.id().to_owned()).await?.ok_or(INVALID)?;
    let tag = key.tag(&core.keyring, &application.id.to_string());
    if tag.matches(&stored.tag) { Ok(application) } else { Err(INVALID) }
}
