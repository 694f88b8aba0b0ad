//! A device whose every message a test makes itself, so that it can send what the agent would not.

use countersign_proto::{
    common::{DenialReason, Platform},
    device::{
        self, Account, ChangeDeviceRequest, EnrollRequest, EnrollResponse, GetAccountRequest,
        GetAccountResponse, GetChallengeRequest, GetOfferRequest, ListChallengesRequest, RespondRequest,
        RespondResponse, SubscribeRequest, SubscribeResponse, device_service_client::DeviceServiceClient,
    },
    envelope,
    key::{SigningKey, VerificationKey},
    link::PairingLink,
    statement::{
        CallStatement, DecisionStatement, DeviceChangeStatement, DeviceProfile, EnrollmentStatement,
        Envelope, PublicKey, Signature, UserVerification, Verdict,
        device_change_statement::{Change, Unenroll},
    },
    statement_form::Statement,
    time::UnixTime,
};
use ed25519_dalek::Signer as _;
use prost::Message as _;
use tonic::{Request, Status, Streaming, metadata::MetadataValue, transport::Channel};

use super::World;
use crate::soon::soon;

/// Metadata entry of the envelope with the call statement.
pub(crate) const CALL_KEY: &str = "countersign-call-bin";
/// Metadata entry of the key that the envelope is checked with.
pub(crate) const KEY_KEY: &str = "countersign-key-bin";
pub(crate) const GET_ACCOUNT: &str = "/countersign.device.v1.DeviceService/GetAccount";
pub(crate) const LIST_CHALLENGES: &str = "/countersign.device.v1.DeviceService/ListChallenges";
pub(crate) const SUBSCRIBE: &str = "/countersign.device.v1.DeviceService/Subscribe";
pub(crate) const GET_CHALLENGE: &str = "/countersign.device.v1.DeviceService/GetChallenge";

/// Somebody with a link and a key who has read the offer.
pub(crate) struct Candidate {
    pub(crate) client: DeviceServiceClient<Channel>,
    pub(crate) key: SigningKey,
    pub(crate) link: PairingLink,
    pub(crate) offer: Envelope,
}

/// An enrolled device.
#[derive(Clone)]
pub(crate) struct ByHand {
    pub(crate) client: DeviceServiceClient<Channel>,
    pub(crate) key: SigningKey,
    pub(crate) server_id: String,
    pub(crate) device_id: String,
}

/// What a device hears on its stream.
pub(crate) struct Events(Streaming<SubscribeResponse>);

/// `payload` in an envelope of any type, whose signature holds.
pub(crate) fn sealed(key: &SigningKey, payload_type: &str, payload: Vec<u8>) -> Envelope {
    let signed = envelope::pre_authentication_encoding(payload_type, &payload);
    let sig = key.sign(&signed).to_bytes().to_vec();
    let signature = Signature { sig, keyid: VerificationKey::of(key).thumbprint() };
    Envelope { payload, payload_type: payload_type.to_owned(), signatures: vec![signature] }
}

/// `statement` with a field that no statement has: signed, but not canonical.
pub(crate) fn with_unknown_field<S: Statement>(key: &SigningKey, statement: &S) -> Envelope {
    let mut payload = statement.encode_to_vec();
    // Field 1000, a varint of 1.
    payload.extend([0xc0, 0x3e, 0x01]);
    sealed(key, S::PAYLOAD_TYPE, payload)
}

/// The public half, as it is sent.
pub(crate) fn public(key: &SigningKey) -> PublicKey {
    VerificationKey::of(key).to_wire()
}

impl Candidate {
    /// Opens `uri` with the key whose 32 bytes are `seed`.
    pub(crate) async fn open(world: &World, uri: &str, seed: u8) -> Self {
        let link: PairingLink = uri.parse().expect("a link");
        let mut client = world.device_client().await;
        let request = GetOfferRequest { token: link.token.reveal().to_owned() };
        let offer = client.get_offer(request).await.expect("a good token").into_inner().offer;
        let key = SigningKey::from_bytes(&[seed; 32]);
        Self { client, key, link, offer: offer.expect("an offer") }
    }

    /// The yes to the offer.
    pub(crate) fn statement(&self) -> EnrollmentStatement {
        EnrollmentStatement {
            server_id: self.link.root_key.thumbprint(),
            offer_sha256: envelope::payload_digest(&self.offer).to_vec(),
            public_key: Some(public(&self.key)),
            device_name: format!("Device {}", self.key.to_bytes()[0]),
            platform: Platform::Desktop.into(),
        }
    }

    /// `statement`, signed and with the token.
    pub(crate) fn request(&self, statement: &EnrollmentStatement) -> EnrollRequest {
        EnrollRequest {
            token: self.link.token.reveal().to_owned(),
            public_key: Some(public(&self.key)),
            enrollment: Some(envelope::sign(statement, &self.key)),
        }
    }

    /// Sends the yes to the offer.
    pub(crate) async fn enroll(&self) -> Result<EnrollResponse, Status> {
        self.send(self.request(&self.statement())).await
    }

    pub(crate) async fn send(&self, request: EnrollRequest) -> Result<EnrollResponse, Status> {
        Ok(self.client.clone().enroll(request).await?.into_inner())
    }

    /// The device that it became.
    pub(crate) fn enrolled(&self, response: &EnrollResponse) -> ByHand {
        ByHand {
            client: self.client.clone(),
            key: self.key.clone(),
            server_id: self.link.root_key.thumbprint(),
            device_id: response.account.as_ref().expect("an account").device_id.clone(),
        }
    }
}

impl ByHand {
    /// The same device on a new connection.
    pub(crate) async fn reconnected(self, world: &World) -> Self {
        Self { client: world.device_client().await, ..self }
    }

    /// The same device over this connection.
    pub(crate) fn over(self, channel: Channel) -> Self {
        Self { client: DeviceServiceClient::new(channel), ..self }
    }

    /// What proves who calls `method` at `at`.
    pub(crate) fn call(&self, method: &str, at: UnixTime) -> CallStatement {
        CallStatement {
            server_id: self.server_id.clone(),
            device_id: self.device_id.clone(),
            method: method.to_owned(),
            issued_at: Some(at.to_wire()),
        }
    }

    /// `message`, proven by `call`.
    pub(crate) fn proven<M>(&self, message: M, call: &CallStatement) -> Request<M> {
        let mut request = Request::new(message);
        let call = envelope::sign(call, &self.key).encode_to_vec();
        request.metadata_mut().insert_bin(CALL_KEY, MetadataValue::from_bytes(&call));
        let key = public(&self.key).encode_to_vec();
        request.metadata_mut().insert_bin(KEY_KEY, MetadataValue::from_bytes(&key));
        request
    }

    pub(crate) async fn account(&self, world: &World) -> Result<GetAccountResponse, Status> {
        let request = self.proven(GetAccountRequest {}, &self.call(GET_ACCOUNT, world.now()));
        Ok(self.client.clone().get_account(request).await?.into_inner())
    }

    pub(crate) async fn list(&self, world: &World) -> Result<Vec<device::Challenge>, Status> {
        let request = self.proven(ListChallengesRequest {}, &self.call(LIST_CHALLENGES, world.now()));
        Ok(self.client.clone().list_challenges(request).await?.into_inner().challenges)
    }

    pub(crate) async fn challenge(&self, world: &World, id: &str) -> Result<device::Challenge, Status> {
        let message = GetChallengeRequest { challenge_id: id.to_owned() };
        let request = self.proven(message, &self.call(GET_CHALLENGE, world.now()));
        let response = self.client.clone().get_challenge(request).await?.into_inner();
        Ok(response.challenge.expect("a challenge"))
    }

    /// Opens a stream.
    pub(crate) async fn subscribe(&self, world: &World) -> Result<Events, Status> {
        let request = self.proven(SubscribeRequest {}, &self.call(SUBSCRIBE, world.now()));
        Ok(Events(self.client.clone().subscribe(request).await?.into_inner()))
    }

    /// Lets it in with `match_code`.
    pub(crate) fn approval(&self, asked: &device::Challenge, match_code: &str) -> DecisionStatement {
        DecisionStatement {
            verdict: Verdict::Approve.into(),
            match_code: match_code.to_owned(),
            user_verification: UserVerification::None.into(),
            ..self.undecided(asked)
        }
    }

    /// Keeps it out.
    pub(crate) fn denial(&self, asked: &device::Challenge, reason: DenialReason) -> DecisionStatement {
        DecisionStatement {
            verdict: Verdict::Deny.into(),
            denial_reason: reason.into(),
            ..self.undecided(asked)
        }
    }

    fn undecided(&self, asked: &device::Challenge) -> DecisionStatement {
        let challenge = asked.envelope.as_ref().expect("an envelope");
        DecisionStatement {
            server_id: self.server_id.clone(),
            challenge_sha256: envelope::payload_digest(challenge).to_vec(),
            challenge_id: asked.challenge_id.clone(),
            device_id: self.device_id.clone(),
            decided_at: Some(super::START.to_wire()),
            ..DecisionStatement::default()
        }
    }

    /// Signs and sends a decision about the challenge that it names.
    pub(crate) async fn respond(&self, decision: &DecisionStatement) -> Result<RespondResponse, Status> {
        self.send(self.answer(decision)).await
    }

    /// A signed decision about the challenge that it names.
    pub(crate) fn answer(&self, decision: &DecisionStatement) -> RespondRequest {
        RespondRequest {
            challenge_id: decision.challenge_id.clone(),
            public_key: Some(public(&self.key)),
            decision: Some(self.sign(decision)),
        }
    }

    pub(crate) async fn send(&self, request: RespondRequest) -> Result<RespondResponse, Status> {
        Ok(self.client.clone().respond(request).await?.into_inner())
    }

    pub(crate) fn sign<S: Statement>(&self, statement: &S) -> Envelope {
        envelope::sign(statement, &self.key)
    }

    /// What it tells of itself.
    pub(crate) fn change(&self, sequence: u64, profile: DeviceProfile) -> DeviceChangeStatement {
        self.change_of(sequence, Change::Profile(profile))
    }

    fn change_of(&self, sequence: u64, change: Change) -> DeviceChangeStatement {
        DeviceChangeStatement {
            server_id: self.server_id.clone(),
            device_id: self.device_id.clone(),
            sequence,
            change: Some(change),
        }
    }

    /// The same device with the key whose 32 bytes are `seed`.
    pub(crate) fn with_key(&self, seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), ..self.clone() }
    }

    /// The word that the key of `next` takes over.
    pub(crate) fn handing_over(&self, sequence: u64, next: &Self) -> DeviceChangeStatement {
        self.change_of(sequence, Change::NewKey(public(&next.key)))
    }

    /// Hands over to the key of `next`.
    pub(crate) async fn hand_over(&self, sequence: u64, next: &Self) -> Result<Account, Status> {
        let change = self.handing_over(sequence, next);
        let change = Some(envelope::sign_with_both(&change, &self.key, &next.key));
        let request = ChangeDeviceRequest { public_key: Some(public(&self.key)), change };
        Ok(self.client.clone().change_device(request).await?.into_inner().account.expect("an account"))
    }

    /// Says goodbye. Nothing is told of the account any more.
    pub(crate) async fn unenroll(&self, sequence: u64) -> Result<(), Status> {
        let change = Some(self.sign(&self.change_of(sequence, Change::Unenroll(Unenroll {}))));
        let request = ChangeDeviceRequest { public_key: Some(public(&self.key)), change };
        assert_eq!(self.client.clone().change_device(request).await?.into_inner().account, None);
        Ok(())
    }

    pub(crate) async fn send_change(&self, change: &DeviceChangeStatement) -> Result<Account, Status> {
        let request =
            ChangeDeviceRequest { public_key: Some(public(&self.key)), change: Some(self.sign(change)) };
        let response = self.client.clone().change_device(request).await?.into_inner();
        Ok(response.account.expect("an account"))
    }
}

impl Events {
    /// The next challenge that it tells of; without one: that it is alive.
    pub(crate) async fn event(&mut self) -> Option<device::Challenge> {
        let told = self.try_next().await.expect("no refusal");
        told.expect("it goes on").challenge
    }

    /// The next challenge that it tells of.
    pub(crate) async fn challenge(&mut self) -> device::Challenge {
        self.event().await.expect("a challenge")
    }

    /// The refusal that it ends with.
    pub(crate) async fn end(&mut self) -> Status {
        let ended = loop {
            match self.try_next().await {
                Ok(Some(told)) => assert_eq!(told.challenge, None, "it only is alive"),
                ended => break ended,
            }
        };
        ended.expect_err("it ends with a reason")
    }

    /// The next event, its end, or the refusal that it ends with.
    pub(crate) async fn try_next(&mut self) -> Result<Option<SubscribeResponse>, Status> {
        soon(self.0.message()).await
    }
}
