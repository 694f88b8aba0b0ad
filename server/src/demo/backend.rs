//! The login backend: what a web shop's own server would call, and nothing else.

mod users;

use std::time::Duration;

use countersign_proto::{
    common::ChallengeState,
    login::{
        AwaitChallengeRequest, CancelChallengeRequest, Challenge, CodeResult, CreateChallengeRequest,
        LoginSource, RedeemChallengeRequest, RedeemChallengeResponse, VerifyCodeRequest,
        create_challenge_response::Outcome, login_service_client::LoginServiceClient,
        user_service_client::UserServiceClient,
    },
    statement::Purpose,
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
        self.create(request).await
    }

    /// Asks for an approval to add a factor.
    pub(super) async fn ask_to_manage(
        &mut self,
        attempt_id: &str,
        source: LoginSource,
    ) -> Result<Asked, DemoError> {
        let request = CreateChallengeRequest {
            user_id: USER.to_owned(),
            attempt_id: attempt_id.to_owned(),
            purpose: Purpose::ManageFactors.into(),
            source: Some(source),
            ..CreateChallengeRequest::default()
        };
        self.create(request).await
    }

    async fn create(&mut self, request: CreateChallengeRequest) -> Result<Asked, DemoError> {
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

    /// Withdraws a challenge.
    pub(super) async fn cancel(&mut self, challenge_id: &str) -> Result<(), DemoError> {
        let request = CancelChallengeRequest { challenge_id: challenge_id.to_owned() };
        self.login.cancel_challenge(request).await?;
        Ok(())
    }

    /// Tries a code that was typed on the login page: what it was, and the challenge as it is now.
    pub(super) async fn verify_code(
        &mut self,
        challenge_id: &str,
        code: &str,
    ) -> Result<(CodeResult, Challenge), DemoError> {
        let request = VerifyCodeRequest {
            challenge_id: challenge_id.to_owned(),
            code: code.to_owned(),
            ..VerifyCodeRequest::default()
        };
        let verified = self.login.verify_code(request).await?.into_inner();
        let result = verified.result();
        Ok((result, verified.challenge.ok_or(DemoError::Incomplete("challenge"))?))
    }

    /// Uses the approval of a login up. Only its OK lets anybody in.
    pub(super) async fn redeem(
        &mut self,
        challenge_id: &str,
        attempt_id: &str,
    ) -> Result<RedeemChallengeResponse, Status> {
        self.redeem_for(Purpose::Login, challenge_id, attempt_id).await
    }

    /// Uses an approval up for what was asked.
    pub(super) async fn redeem_for(
        &mut self,
        purpose: Purpose,
        challenge_id: &str,
        attempt_id: &str,
    ) -> Result<RedeemChallengeResponse, Status> {
        let request = RedeemChallengeRequest {
            challenge_id: challenge_id.to_owned(),
            user_id: USER.to_owned(),
            attempt_id: attempt_id.to_owned(),
            purpose: purpose.into(),
        };
        Ok(self.login.redeem_challenge(request).await?.into_inner())
    }
}
