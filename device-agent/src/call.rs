//! Calls that only read: each proves who makes it by a signed call statement in its metadata.

use std::future::Future;

use countersign_proto::{
    device::{
        GetAccountRequest, GetAccountResponse, GetChallengeRequest, GetChallengeResponse,
        ListChallengesRequest, ListChallengesResponse, SubscribeRequest, SubscribeResponse,
    },
    envelope,
    key::{SigningKey, VerificationKey},
    statement::CallStatement,
    time::UnixTime,
};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

use crate::connection::Client;

/// Metadata entry of the envelope with the call statement.
const CALL_KEY: &str = "countersign-call-bin";
/// Metadata entry of the key that the envelope is checked with.
const KEY_KEY: &str = "countersign-key-bin";

/// A request that only reads.
pub(crate) trait Read: Clone + Send + Sync {
    /// What the call statement names.
    const METHOD: &'static str;
    /// What comes back.
    type Reply;

    /// Makes the call.
    fn send(
        client: &mut Client,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Reply>, Status>> + Send;
}

impl Read for GetAccountRequest {
    const METHOD: &'static str = "/countersign.device.v1.DeviceService/GetAccount";
    type Reply = GetAccountResponse;

    async fn send(client: &mut Client, request: Request<Self>) -> Result<Response<Self::Reply>, Status> {
        client.get_account(request).await
    }
}

impl Read for ListChallengesRequest {
    const METHOD: &'static str = "/countersign.device.v1.DeviceService/ListChallenges";
    type Reply = ListChallengesResponse;

    async fn send(client: &mut Client, request: Request<Self>) -> Result<Response<Self::Reply>, Status> {
        client.list_challenges(request).await
    }
}

impl Read for GetChallengeRequest {
    const METHOD: &'static str = "/countersign.device.v1.DeviceService/GetChallenge";
    type Reply = GetChallengeResponse;

    async fn send(client: &mut Client, request: Request<Self>) -> Result<Response<Self::Reply>, Status> {
        client.get_challenge(request).await
    }
}

impl Read for SubscribeRequest {
    const METHOD: &'static str = "/countersign.device.v1.DeviceService/Subscribe";
    type Reply = Streaming<SubscribeResponse>;

    async fn send(client: &mut Client, request: Request<Self>) -> Result<Response<Self::Reply>, Status> {
        client.subscribe(request).await
    }
}

/// Who makes a call.
pub(crate) struct Caller<'a> {
    /// The pinned server.
    pub(crate) server_id: &'a str,
    /// The device as the server knows it.
    pub(crate) device_id: &'a str,
    /// Its key.
    pub(crate) key: SigningKey,
}

impl Caller<'_> {
    /// `request` with what proves that it was made by this device at `now`.
    pub(crate) fn signed<R: Read>(&self, request: R, now: UnixTime) -> Request<R> {
        let statement = CallStatement {
            server_id: self.server_id.to_owned(),
            device_id: self.device_id.to_owned(),
            method: R::METHOD.to_owned(),
            issued_at: Some(now.to_wire()),
        };
        let call = envelope::sign(&statement, &self.key).encode_to_vec();
        let key = VerificationKey::of(&self.key).to_wire().encode_to_vec();
        let mut request = Request::new(request);
        request.metadata_mut().insert_bin(CALL_KEY, MetadataValue::from_bytes(&call));
        request.metadata_mut().insert_bin(KEY_KEY, MetadataValue::from_bytes(&key));
        request
    }
}
