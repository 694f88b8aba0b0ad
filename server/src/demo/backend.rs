//! The login backend: what a web shop's own server would call, and nothing else.

use std::time::Duration;

use countersign_proto::{
    common::{ChallengeState, FactorType},
    login::{
        AwaitChallengeRequest, Challenge, ConfirmEnrollmentRequest, CreateChallengeRequest, EnrollmentState,
        LoginSource, RedeemChallengeRequest, RedeemChallengeResponse, StartEnrollmentRequest,
        create_challenge_response::Outcome, login_service_client::LoginServiceClient,
        user_service_client::UserServiceClient,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use super::{
    error::DemoError,
    wire::{Traffic, Watched},
};

/// Who logs in.
pub(super) const USER: &str = "anna";
/// What the phone knows her account by.
const ACCOUNT: &str = "anna@example.org";

type Connection = InterceptedService<Watched, Bearer>;

/// The clients of the login backend.
#[derive(Clone)]
pub(super) struct Backend {
    login: LoginServiceClient<Connection>,
    users: UserServiceClient<Connection>,
}

/// Sends the API key with each call.
#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

/// A login that is asked for, and the digits for the login page.
pub(super) struct Asked {
    pub(super) challenge: Challenge,
    pub(super) match_code: String,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Backend {
    /// Connects to the server at `origin`.
    pub(super) async fn connect(
        origin: &str,
        api_key: &SecretString,
        traffic: &Traffic,
    ) -> Result<Self, DemoError> {
        let channel = Channel::from_shared(origin.to_owned()).expect("the server's origin is a URI");
        let channel = Watched::new(channel.connect().await?, traffic.clone());
        let mut bearer: MetadataValue<Ascii> =
            format!("Bearer {}", api_key.expose_secret()).parse().expect("an API key is ASCII");
        bearer.set_sensitive(true);
        let bearer = Bearer(bearer);
        Ok(Self {
            login: LoginServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            users: UserServiceClient::with_interceptor(channel, bearer),
        })
    }

    /// Begins an enrolment: its id, and the pairing link that the page shows as a QR code.
    pub(super) async fn start_enrollment(&mut self) -> Result<(String, String), DemoError> {
        let request = StartEnrollmentRequest {
            user_id: USER.to_owned(),
            r#type: FactorType::Device.into(),
            account_name: ACCOUNT.to_owned(),
            authorization: None,
        };
        let started = self.users.start_enrollment(request).await?.into_inner();
        let enrollment = started.enrollment.ok_or(DemoError::Incomplete("enrolment"))?;
        Ok((enrollment.enrollment_id, started.uri))
    }

    /// The code that was typed on the page with the QR code.
    pub(super) async fn confirm(
        &mut self,
        enrollment_id: &str,
        code: &str,
    ) -> Result<EnrollmentState, Status> {
        let request =
            ConfirmEnrollmentRequest { enrollment_id: enrollment_id.to_owned(), code: code.to_owned() };
        let confirmed = self.users.confirm_enrollment(request).await?.into_inner();
        Ok(confirmed.enrollment.unwrap_or_default().state())
    }

    /// Asks for a login to be approved. `lifetime`: none for what the policy says.
    pub(super) async fn ask(
        &mut self,
        attempt_id: &str,
        source: LoginSource,
        lifetime: Option<Duration>,
    ) -> Result<Asked, DemoError> {
        let request = CreateChallengeRequest {
            user_id: USER.to_owned(),
            attempt_id: attempt_id.to_owned(),
            source: Some(source),
            lifetime: lifetime.map(Into::into),
            ..CreateChallengeRequest::default()
        };
        let created = self.login.create_challenge(request).await?.into_inner();
        match created.outcome {
            Some(Outcome::Challenge(challenge)) => Ok(Asked { challenge, match_code: created.match_code }),
            _ => Err(DemoError::Incomplete("challenge, although the user has a device")),
        }
    }

    /// Waits until the challenge is settled.
    pub(super) async fn wait(mut self, challenge_id: String) -> Result<Challenge, DemoError> {
        loop {
            let request = AwaitChallengeRequest { challenge_id: challenge_id.clone(), wait: None };
            let answer = self.login.await_challenge(request).await?.into_inner();
            let challenge = answer.challenge.ok_or(DemoError::Incomplete("challenge"))?;
            if challenge.state() != ChallengeState::Pending {
                return Ok(challenge);
            }
        }
    }

    /// Uses the approval up. Only its OK lets anybody in.
    pub(super) async fn redeem(
        &mut self,
        challenge_id: &str,
        attempt_id: &str,
    ) -> Result<RedeemChallengeResponse, Status> {
        let request = RedeemChallengeRequest {
            challenge_id: challenge_id.to_owned(),
            user_id: USER.to_owned(),
            attempt_id: attempt_id.to_owned(),
            ..RedeemChallengeRequest::default()
        };
        Ok(self.login.redeem_challenge(request).await?.into_inner())
    }
}
