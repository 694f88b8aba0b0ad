//! A device. It signs all that a phone signs, but keeps its key in memory and does not verify what it is shown: so
//! the load takes less of the machine that the server runs on.

use countersign_proto::{
    common::Platform,
    device::{
        ChangeDeviceRequest, EnrollRequest, GetChallengeRequest, GetOfferRequest, RespondRequest,
        SubscribeRequest, SubscribeResponse, device_service_client::DeviceServiceClient,
    },
    envelope,
    key::{SigningKey, VerificationKey},
    link::PairingLink,
    statement::{
        CallStatement, DecisionStatement, DeviceChangeStatement, DeviceProfile, EnrollmentStatement,
        Envelope, PublicKey, PushTarget, UserVerification, Verdict, device_change_statement::Change,
        push_target,
    },
};
use prost::Message as _;
use tonic::{Request, Streaming, metadata::MetadataValue, transport::Channel};

use super::{codes::Codes, connections::Connections};
use crate::{Failure, clock, stand_in::TOPIC};

const GET_CHALLENGE: &str = "/countersign.device.v1.DeviceService/GetChallenge";
const SUBSCRIBE: &str = "/countersign.device.v1.DeviceService/Subscribe";

/// An enrolled device.
pub struct Device {
    connections: Connections,
    key: SigningKey,
    public_key: PublicKey,
    server_id: String,
    pub(super) id: String,
    pub(super) codes: Codes,
}

/// A device that has taken a link, and the code that its person types.
pub(super) struct Enrolled {
    pub(super) device: Device,
    pub(super) confirmation_code: String,
}

impl Device {
    /// Takes a pairing link.
    pub(super) async fn enroll(connections: Connections, link: &str) -> Result<Enrolled, Failure> {
        let link: PairingLink = link.parse()?;
        let mut client = DeviceServiceClient::new(connections.next());
        let token = link.token.reveal().to_owned();
        let offer = client.get_offer(GetOfferRequest { token: token.clone() }).await?.into_inner().offer;
        let key = new_key()?;
        let public_key = VerificationKey::of(&key).to_wire();
        let server_id = link.root_key.thumbprint();
        let statement = EnrollmentStatement {
            server_id: server_id.clone(),
            offer_sha256: envelope::payload_digest(&offer.ok_or("no offer")?).to_vec(),
            public_key: Some(public_key.clone()),
            device_name: "Anna's phone".to_owned(),
            platform: Platform::Ios.into(),
        };
        let enrollment = Some(envelope::sign(&statement, &key));
        let request = EnrollRequest { token, public_key: Some(public_key.clone()), enrollment };
        let enrolled = client.enroll(request).await?.into_inner();
        let id = enrolled.account.ok_or("no account")?.device_id;
        let codes = Codes::of(enrolled.totp.ok_or("no TOTP secret")?)?;
        let device = Self { connections, key, public_key, server_id, id, codes };
        Ok(Enrolled { device, confirmation_code: enrolled.confirmation_code })
    }

    /// Tells the server where to wake it.
    pub(super) async fn register(&self, device_token: String) -> Result<(), Failure> {
        let apns = push_target::Apns { device_token, topic: TOPIC.to_owned(), sandbox: false };
        let target = PushTarget { target: Some(push_target::Target::Apns(apns)) };
        let profile = DeviceProfile { push_target: Some(target), ..DeviceProfile::default() };
        let statement = DeviceChangeStatement {
            server_id: self.server_id.clone(),
            device_id: self.id.clone(),
            sequence: 1,
            change: Some(Change::Profile(profile)),
        };
        let change = Some(envelope::sign(&statement, &self.key));
        let request = ChangeDeviceRequest { public_key: Some(self.public_key.clone()), change };
        DeviceServiceClient::new(self.connections.next()).change_device(request).await?;
        Ok(())
    }

    /// Fetches what is asked, by a signed call.
    pub(super) async fn challenge(&self, challenge_id: &str) -> Result<Envelope, Failure> {
        self.challenge_on(self.connections.next(), challenge_id).await
    }

    /// [`Self::challenge`], on another connection.
    pub(super) async fn challenge_on(
        &self,
        channel: Channel,
        challenge_id: &str,
    ) -> Result<Envelope, Failure> {
        let message = GetChallengeRequest { challenge_id: challenge_id.to_owned() };
        let request = self.proven(GET_CHALLENGE, message);
        let fetched = DeviceServiceClient::new(channel).get_challenge(request).await?.into_inner();
        Ok(fetched.challenge.and_then(|challenge| challenge.envelope).ok_or("no challenge")?)
    }

    /// Opens a stream on a connection.
    pub(super) async fn subscribe(&self, channel: Channel) -> Result<Streaming<SubscribeResponse>, Failure> {
        let request = self.proven(SUBSCRIBE, SubscribeRequest {});
        Ok(DeviceServiceClient::new(channel).subscribe(request).await?.into_inner())
    }

    /// Lets it in with the digits of the login page.
    pub(super) async fn approve(
        &self,
        challenge_id: &str,
        challenge: &Envelope,
        match_code: &str,
    ) -> Result<(), Failure> {
        self.approve_on(self.connections.next(), challenge_id, challenge, match_code).await
    }

    /// [`Self::approve`], on another connection.
    pub(super) async fn approve_on(
        &self,
        channel: Channel,
        challenge_id: &str,
        challenge: &Envelope,
        match_code: &str,
    ) -> Result<(), Failure> {
        let decision = DecisionStatement {
            server_id: self.server_id.clone(),
            challenge_sha256: envelope::payload_digest(challenge).to_vec(),
            challenge_id: challenge_id.to_owned(),
            device_id: self.id.clone(),
            decided_at: Some(clock::now().to_wire()),
            verdict: Verdict::Approve.into(),
            match_code: match_code.to_owned(),
            user_verification: UserVerification::None.into(),
            ..DecisionStatement::default()
        };
        let request = RespondRequest {
            challenge_id: challenge_id.to_owned(),
            public_key: Some(self.public_key.clone()),
            decision: Some(envelope::sign(&decision, &self.key)),
        };
        let answer = DeviceServiceClient::new(channel).respond(request).await?.into_inner();
        if answer.accepted { Ok(()) } else { Err("the decision was not the first".into()) }
    }

    /// `message` with what proves who calls `method` with it.
    fn proven<M>(&self, method: &str, message: M) -> Request<M> {
        let statement = CallStatement {
            server_id: self.server_id.clone(),
            device_id: self.id.clone(),
            method: method.to_owned(),
            issued_at: Some(clock::now().to_wire()),
        };
        let call = envelope::sign(&statement, &self.key).encode_to_vec();
        let key = self.public_key.encode_to_vec();
        let mut request = Request::new(message);
        request.metadata_mut().insert_bin("countersign-call-bin", MetadataValue::from_bytes(&call));
        request.metadata_mut().insert_bin("countersign-key-bin", MetadataValue::from_bytes(&key));
        request
    }
}

fn new_key() -> Result<SigningKey, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(SigningKey::from_bytes(&seed))
}
