//! A login backend and devices, as clients of the process.

mod codes;

use std::{net::SocketAddr, sync::Arc};

use countersign_agent::{Account, Agent, Answer, Error, Platform, UserVerification};
use countersign_proto::{
    common::FactorType,
    login::{
        AwaitChallengeRequest, AwaitEnrollmentRequest, Challenge, ConfirmEnrollmentRequest,
        CreateChallengeRequest, CreateChallengeResponse, Enrollment, GetUserRequest, RedeemChallengeRequest,
        RedeemChallengeResponse, RevokeFactorRequest, StartEnrollmentRequest, StartEnrollmentResponse, User,
        create_challenge_response::Outcome, login_service_client::LoginServiceClient,
        user_service_client::UserServiceClient,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use crate::program::{Place, soon};

/// An application as `countersign app create` made it.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) api_key: String,
}

/// A login backend with its connection.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) login: LoginServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) users: UserServiceClient<InterceptedService<Channel, Bearer>>,
}

/// Sends an API key with each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

/// A device with one account.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) account: Account,
    pub(crate) state: Arc<TempDir>,
    pub(crate) enrollment_id: String,
}

impl Application {
    /// Makes one by the command line, beside a server or without one.
    pub(crate) async fn create(place: &Place, name: &str) -> Self {
        let printed = place.run_configured(&["app", "create", name, "--json"]).await.succeeded();
        let printed: Value = serde_json::from_str(&printed).expect("JSON");
        let text = |key: &str| printed[key].as_str().expect("a text").to_owned();
        Self { id: text("application_id"), api_key: text("api_key") }
    }

    pub(crate) async fn connect(&self, server: SocketAddr) -> Backend {
        Backend::new(channel(server).await, &self.api_key)
    }
}

/// A connection to the server.
pub(crate) async fn channel(server: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{server}")).expect("an address");
    soon(endpoint.connect()).await.expect("it listens")
}

impl Backend {
    pub(crate) fn new(channel: Channel, api_key: &str) -> Self {
        let bearer = Bearer(format!("Bearer {api_key}").parse().expect("ASCII"));
        Self {
            login: LoginServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            users: UserServiceClient::with_interceptor(channel, bearer),
        }
    }

    /// Enrols a device from link to confirmation code, without a push target.
    pub(crate) async fn enroll(&self, user_id: &str) -> Result<Device, String> {
        let state = tempfile::tempdir().expect("a temporary directory");
        let agent = Agent::open(state.path()).expect("an empty directory");
        self.enroll_on(agent, state, user_id).await
    }

    pub(crate) async fn enroll_on(
        &self,
        agent: Agent,
        state: TempDir,
        user_id: &str,
    ) -> Result<Device, String> {
        let started = self.start_enrollment(user_id).await.map_err(told)?;
        let offer = agent.inspect(&started.uri).await.map_err(told)?;
        let enrolled = agent.accept(&offer, "Anna's Pixel", Platform::Android).await.map_err(told)?;
        let confirmation_code = enrolled.confirmation_code().expect("the policy asks for one").to_owned();
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        let confirmed = self.confirm(&enrollment_id, &confirmation_code).await.map_err(told)?;
        assert_eq!(confirmed.factor.expect("a factor").factor_id, enrolled.account.device_id());
        let account = enrolled.account;
        Ok(Device { account, state: Arc::new(state), enrollment_id })
    }

    pub(crate) async fn start_enrollment(&self, user_id: &str) -> Result<StartEnrollmentResponse, Status> {
        let request = StartEnrollmentRequest {
            user_id: user_id.to_owned(),
            r#type: FactorType::Device.into(),
            account_name: format!("{user_id}@example.org"),
            authorization: None,
        };
        Ok(self.users.clone().start_enrollment(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, enrollment_id: &str, code: &str) -> Result<Enrollment, Status> {
        let request =
            ConfirmEnrollmentRequest { enrollment_id: enrollment_id.to_owned(), code: code.to_owned() };
        let response = self.users.clone().confirm_enrollment(request).await?;
        Ok(response.into_inner().enrollment.expect("an enrolment"))
    }

    pub(crate) async fn enrollment(&self, enrollment_id: &str) -> Enrollment {
        let request = AwaitEnrollmentRequest {
            enrollment_id: enrollment_id.to_owned(),
            wait: Some(std::time::Duration::ZERO.into()),
            ..AwaitEnrollmentRequest::default()
        };
        let response = soon(self.users.clone().await_enrollment(request)).await.expect("it can be read");
        response.into_inner().enrollment.expect("an enrolment")
    }

    pub(crate) async fn user(&self, user_id: &str) -> User {
        let request = GetUserRequest { user_id: user_id.to_owned() };
        let response = soon(self.users.clone().get_user(request)).await.expect("it can be read");
        response.into_inner().user.expect("a user")
    }

    pub(crate) async fn revoke(&self, user_id: &str, factor_id: &str) -> Result<User, Status> {
        let request = RevokeFactorRequest { user_id: user_id.to_owned(), factor_id: factor_id.to_owned() };
        let response = self.users.clone().revoke_factor(request).await?;
        Ok(response.into_inner().user.expect("a user"))
    }

    /// Creates a challenge; its match code too.
    pub(crate) async fn create(
        &self,
        user_id: &str,
        attempt_id: &str,
    ) -> Result<(Challenge, String), Status> {
        let request = CreateChallengeRequest {
            user_id: user_id.to_owned(),
            attempt_id: attempt_id.to_owned(),
            ..CreateChallengeRequest::default()
        };
        Ok(created(self.login.clone().create_challenge(request).await?.into_inner()))
    }

    /// The challenge as it is now.
    pub(crate) async fn state(&self, challenge_id: &str) -> Challenge {
        soon(self.wait_for(challenge_id, 0)).await.expect("it can be read")
    }

    pub(crate) async fn wait_for(&self, challenge_id: &str, seconds: u64) -> Result<Challenge, Status> {
        let request = AwaitChallengeRequest {
            challenge_id: challenge_id.to_owned(),
            wait: Some(std::time::Duration::from_secs(seconds).into()),
        };
        let response = self.login.clone().await_challenge(request).await?;
        Ok(response.into_inner().challenge.expect("a challenge"))
    }

    pub(crate) async fn redeem(
        &self,
        challenge_id: &str,
        user_id: &str,
        attempt_id: &str,
    ) -> Result<RedeemChallengeResponse, Status> {
        let request = RedeemChallengeRequest {
            challenge_id: challenge_id.to_owned(),
            user_id: user_id.to_owned(),
            attempt_id: attempt_id.to_owned(),
            ..RedeemChallengeRequest::default()
        };
        Ok(self.login.clone().redeem_challenge(request).await?.into_inner())
    }
}

impl Device {
    /// The same device on a connection of its own. (One that lost its server tells its next caller of that first.)
    pub(crate) fn reconnected(&self) -> Self {
        let agent = Agent::open(self.state.path()).expect("a state directory");
        Self { account: agent.account(self.account.device_id()).expect("it is enrolled"), ..self.clone() }
    }

    /// Fetches the challenge and approves it with what the person typed.
    pub(crate) async fn approve(&self, challenge_id: &str, match_code: &str) -> Result<Answer, Error> {
        let challenge = self.account.challenge(challenge_id).await?;
        self.account.approve(&challenge, match_code, UserVerification::None).await
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// The challenge that was made, and its match code.
pub(crate) fn created(response: CreateChallengeResponse) -> (Challenge, String) {
    match response.outcome {
        Some(Outcome::Challenge(challenge)) => (challenge, response.match_code),
        other => panic!("{other:?}"),
    }
}

/// A failure of a call, for whoever only wants to show it.
pub(crate) fn told(failure: impl std::fmt::Debug) -> String {
    format!("{failure:?}")
}
