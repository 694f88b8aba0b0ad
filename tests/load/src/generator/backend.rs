//! The login backend.

use std::time::Duration;

use countersign_proto::{
    common::{ChallengeState, FactorType},
    login::{
        AwaitChallengeRequest, CancelChallengeRequest, CodeResult, ConfirmEnrollmentRequest,
        CreateChallengeRequest, LoginSource, RedeemChallengeRequest, StartEnrollmentRequest,
        VerifyCodeRequest, WatchChallengeRequest, WatchChallengeResponse, create_challenge_response::Outcome,
        login_service_client::LoginServiceClient, user_service_client::UserServiceClient,
    },
};
use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use super::connections::Connections;
use crate::{Failure, command::Target};

/// How long a login page waits for one answer.
const WAIT: Duration = Duration::from_mins(1);

/// A login backend on its connections.
#[derive(Clone)]
pub(super) struct Backend {
    connections: Connections,
    authorization: MetadataValue<Ascii>,
}

/// A challenge that was made.
pub(super) struct Asked {
    pub(super) challenge_id: String,
    pub(super) match_code: String,
}

impl Backend {
    pub(super) async fn connect(target: &Target) -> Result<Self, Failure> {
        let connections = Connections::open(target.server).await?;
        Ok(Self { connections, authorization: authorization(&target.api_key)? })
    }

    /// Begins an enrolment; its id and pairing link.
    pub(super) async fn start_enrollment(&self, user_id: &str) -> Result<(String, String), Failure> {
        let request = StartEnrollmentRequest {
            user_id: user_id.to_owned(),
            r#type: FactorType::Device.into(),
            account_name: format!("{user_id}@example.org"),
            authorization: None,
        };
        let started = self.users().start_enrollment(self.authorized(request)).await?.into_inner();
        Ok((started.enrollment.ok_or("no enrolment")?.enrollment_id, started.uri))
    }

    /// Types the code that the device shows.
    pub(super) async fn confirm(&self, enrollment_id: String, code: String) -> Result<(), Failure> {
        let request = ConfirmEnrollmentRequest { enrollment_id, code };
        self.users().confirm_enrollment(self.authorized(request)).await?;
        Ok(())
    }

    /// Asks a user's device, as a login page does.
    pub(super) async fn create(&self, user_id: &str, attempt_id: &str) -> Result<Asked, Failure> {
        self.create_as(asking(user_id, attempt_id)).await
    }

    /// Asks for a TOTP code: no device is woken.
    pub(super) async fn create_for_code(&self, user_id: &str, attempt_id: &str) -> Result<String, Failure> {
        let allowed_factors = vec![FactorType::Totp.into()];
        let request = CreateChallengeRequest { allowed_factors, ..asking(user_id, attempt_id) };
        Ok(self.create_as(request).await?.challenge_id)
    }

    /// Types a code, which must be the right one.
    pub(super) async fn verify_code(&self, challenge_id: &str, code: String) -> Result<(), Failure> {
        let request =
            VerifyCodeRequest { challenge_id: challenge_id.to_owned(), code, ..VerifyCodeRequest::default() };
        let verified = self.login().verify_code(self.authorized(request)).await?.into_inner();
        match verified.result() {
            CodeResult::Accepted => Ok(()),
            other => Err(format!("the code was {}", other.as_str_name()).into()),
        }
    }

    async fn create_as(&self, request: CreateChallengeRequest) -> Result<Asked, Failure> {
        let created = self.login().create_challenge(self.authorized(request)).await?.into_inner();
        let Some(Outcome::Challenge(challenge)) = created.outcome else { return Err("not enrolled".into()) };
        Ok(Asked { challenge_id: challenge.challenge_id, match_code: created.match_code })
    }

    /// Waits until a challenge is settled.
    pub(super) async fn settled(&self, challenge_id: &str) -> Result<ChallengeState, Failure> {
        self.settled_on(self.connections.next(), challenge_id).await
    }

    /// [`Self::settled`], on another connection.
    pub(super) async fn settled_on(
        &self,
        channel: Channel,
        challenge_id: &str,
    ) -> Result<ChallengeState, Failure> {
        let request =
            AwaitChallengeRequest { challenge_id: challenge_id.to_owned(), wait: Some(WAIT.into()) };
        let mut login = LoginServiceClient::new(channel);
        let answer = login.await_challenge(self.authorized(request)).await?.into_inner();
        Ok(answer.challenge.ok_or("no challenge")?.state())
    }

    /// Opens a stream of a challenge on a connection.
    pub(super) async fn watch(
        &self,
        channel: Channel,
        challenge_id: &str,
    ) -> Result<Streaming<WatchChallengeResponse>, Failure> {
        let request = WatchChallengeRequest { challenge_id: challenge_id.to_owned() };
        let mut login = LoginServiceClient::new(channel);
        Ok(login.watch_challenge(self.authorized(request)).await?.into_inner())
    }

    /// Uses an approval up; the device that gave it.
    pub(super) async fn redeem(
        &self,
        challenge_id: &str,
        user_id: &str,
        attempt_id: &str,
    ) -> Result<String, Failure> {
        let request = RedeemChallengeRequest {
            challenge_id: challenge_id.to_owned(),
            user_id: user_id.to_owned(),
            attempt_id: attempt_id.to_owned(),
            ..RedeemChallengeRequest::default()
        };
        let redeemed = self.login().redeem_challenge(self.authorized(request)).await?.into_inner();
        redeemed.receipt.ok_or("redeemed without a receipt")?;
        Ok(redeemed.settlement.ok_or("redeemed without a settlement")?.factor_id)
    }

    /// Withdraws a challenge.
    pub(super) async fn cancel(&self, challenge_id: &str) -> Result<(), Failure> {
        let request = CancelChallengeRequest { challenge_id: challenge_id.to_owned() };
        self.login().cancel_challenge(self.authorized(request)).await?;
        Ok(())
    }

    fn login(&self) -> LoginServiceClient<Channel> {
        LoginServiceClient::new(self.connections.next())
    }

    fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.connections.next())
    }

    fn authorized<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

/// As a login page asks.
fn asking(user_id: &str, attempt_id: &str) -> CreateChallengeRequest {
    let source = LoginSource {
        ip_address: "203.0.113.7".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
        ..LoginSource::default()
    };
    CreateChallengeRequest {
        user_id: user_id.to_owned(),
        attempt_id: attempt_id.to_owned(),
        source: Some(source),
        ..CreateChallengeRequest::default()
    }
}

/// What proves who a login backend is.
pub(super) fn authorization(api_key: &str) -> Result<MetadataValue<Ascii>, Failure> {
    Ok(format!("Bearer {api_key}").parse()?)
}
