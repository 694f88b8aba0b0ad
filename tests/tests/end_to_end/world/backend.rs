//! A login backend, over real tonic clients.

use std::{path::PathBuf, sync::Arc, time::Duration};

use countersign::{
    clock::SystemClock,
    foundation::{Foundation, Opener},
    random::SystemRandom,
    store::{Allowances as _, devices::UserKey},
};
use countersign_proto::{
    common::FactorType,
    login::{
        Authorization, AwaitChallengeRequest, AwaitEnrollmentRequest, CancelChallengeRequest, Challenge,
        CodeResult, ConfirmEnrollmentRequest, CreateChallengeRequest, CreateChallengeResponse,
        DeleteUserRequest, Enrollment, EnrollmentState, GetUserRequest, IssueRecoveryCodeRequest,
        IssueRecoveryCodeResponse, RedeemChallengeRequest, RedeemChallengeResponse, RevokeFactorRequest,
        StartEnrollmentRequest, StartEnrollmentResponse, UnlockUserRequest, User, VerifyCodeRequest,
        WatchChallengeRequest, WatchChallengeResponse, create_challenge_response::Outcome,
        login_service_client::LoginServiceClient, user_service_client::UserServiceClient,
    },
    time::UnixTime,
};
use tonic::{
    Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A login backend: an application, its API key and its clients.
pub(crate) struct Backend {
    pub(crate) application_id: String,
    pub(crate) api_key: String,
    /// The server's data directory, where the operator's command line works.
    pub(crate) data: PathBuf,
    pub(crate) login: LoginServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) users: UserServiceClient<InterceptedService<Channel, Bearer>>,
}

/// What a backend sees of a challenge that it watches.
pub(crate) struct Changes(Streaming<WatchChallengeResponse>);

/// Sends an API key with each call.
#[derive(Clone)]
pub(crate) struct Bearer(pub(crate) MetadataValue<Ascii>);

impl Backend {
    /// Begins an enrolment of a device, with an operator's permission if the user has had factors.
    pub(crate) async fn start_enrollment(&self, user_id: &str) -> StartEnrollmentResponse {
        self.allow_enrollment(user_id).await;
        self.try_start(enrolling(user_id)).await.expect("it starts")
    }

    /// Permits an enrolment, as an operator does on the command line; for a time that every test lies within.
    pub(crate) async fn allow_enrollment(&self, user_id: &str) {
        let key_file = self.data.join("master.key");
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let opened = Foundation::open(&self.data, &key_file, Opener::CommandLine, clock, random);
        let application = self.application_id.parse().expect("an id");
        let user = UserKey { application, user_id: user_id.to_owned() };
        let until = UnixTime::from_millis(i64::from(u32::MAX) * 1000);
        opened
            .expect("it opens beside the server")
            .store
            .allow_enrollment(user, until)
            .await
            .expect("an answer");
    }

    /// Types a confirmation code on the page.
    pub(crate) async fn confirm(&self, enrollment_id: &str, code: &str) -> Result<Enrollment, Status> {
        let request =
            ConfirmEnrollmentRequest { enrollment_id: enrollment_id.to_owned(), code: code.to_owned() };
        let response = self.users.clone().confirm_enrollment(request).await?;
        Ok(response.into_inner().enrollment.expect("an enrolment"))
    }

    /// Creates a challenge with a match code of three digits.
    pub(crate) async fn create(&self, user_id: &str, attempt_id: &str) -> (Challenge, String) {
        self.create_as(asking(user_id, attempt_id)).await
    }

    /// Creates a challenge as `request` says, and tells it with its match code.
    pub(crate) async fn create_as(&self, request: CreateChallengeRequest) -> (Challenge, String) {
        let created = self.try_create(request).await.expect("it is created");
        match created.outcome {
            Some(Outcome::Challenge(challenge)) => (challenge, created.match_code),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn try_create(
        &self,
        request: CreateChallengeRequest,
    ) -> Result<CreateChallengeResponse, Status> {
        Ok(self.login.clone().create_challenge(request).await?.into_inner())
    }

    /// The challenge as it is now.
    pub(crate) async fn state(&self, challenge_id: &str) -> Challenge {
        self.wait_for(challenge_id, 0).await.expect("it can be read")
    }

    pub(crate) async fn wait_for(&self, challenge_id: &str, seconds: u64) -> Result<Challenge, Status> {
        let request = AwaitChallengeRequest {
            challenge_id: challenge_id.to_owned(),
            wait: Some(Duration::from_secs(seconds).into()),
        };
        let response = self.login.clone().await_challenge(request).await?;
        Ok(response.into_inner().challenge.expect("a challenge"))
    }

    /// Watches a challenge.
    pub(crate) async fn watch(&self, challenge_id: &str) -> Result<Changes, Status> {
        let request = WatchChallengeRequest { challenge_id: challenge_id.to_owned() };
        Ok(Changes(self.login.clone().watch_challenge(request).await?.into_inner()))
    }

    /// Redeems a challenge to log in.
    pub(crate) async fn redeem(
        &self,
        challenge_id: &str,
        user_id: &str,
        attempt_id: &str,
    ) -> Result<RedeemChallengeResponse, Status> {
        self.try_redeem(redeeming(challenge_id, user_id, attempt_id)).await
    }

    /// Types a code on the login page.
    pub(crate) async fn verify(
        &self,
        challenge_id: &str,
        code: &str,
    ) -> Result<(CodeResult, Challenge), Status> {
        let (challenge_id, code) = (challenge_id.to_owned(), code.to_owned());
        self.try_verify(VerifyCodeRequest { challenge_id, code, ..VerifyCodeRequest::default() }).await
    }

    pub(crate) async fn try_verify(
        &self,
        request: VerifyCodeRequest,
    ) -> Result<(CodeResult, Challenge), Status> {
        let response = self.login.clone().verify_code(request).await?.into_inner();
        Ok((response.result(), response.challenge.expect("a challenge")))
    }

    /// Lets codes and pushes through again.
    pub(crate) async fn unlock(&self, user_id: &str) -> User {
        let request = UnlockUserRequest { user_id: user_id.to_owned() };
        let response = self.users.clone().unlock_user(request).await.expect("it is unlocked");
        response.into_inner().user.expect("a user")
    }

    /// Withdraws a challenge.
    pub(crate) async fn cancel(&self, challenge_id: &str) -> Result<Challenge, Status> {
        let request = CancelChallengeRequest { challenge_id: challenge_id.to_owned() };
        let response = self.login.clone().cancel_challenge(request).await?;
        Ok(response.into_inner().challenge.expect("a challenge"))
    }

    /// Redeems as `request` says.
    pub(crate) async fn try_redeem(
        &self,
        request: RedeemChallengeRequest,
    ) -> Result<RedeemChallengeResponse, Status> {
        Ok(self.login.clone().redeem_challenge(request).await?.into_inner())
    }

    /// Begins an enrolment as `request` says.
    pub(crate) async fn try_start(
        &self,
        request: StartEnrollmentRequest,
    ) -> Result<StartEnrollmentResponse, Status> {
        Ok(self.users.clone().start_enrollment(request).await?.into_inner())
    }

    /// Issues a recovery code.
    pub(crate) async fn issue(
        &self,
        user_id: &str,
        authorization: Option<Authorization>,
    ) -> Result<IssueRecoveryCodeResponse, Status> {
        let request = IssueRecoveryCodeRequest { user_id: user_id.to_owned(), authorization };
        Ok(self.users.clone().issue_recovery_code(request).await?.into_inner())
    }

    /// Waits until an enrolment is in another state than `known`.
    pub(crate) async fn wait_for_enrollment(
        &self,
        enrollment_id: &str,
        known: EnrollmentState,
        seconds: u64,
    ) -> Result<Enrollment, Status> {
        let request = AwaitEnrollmentRequest {
            enrollment_id: enrollment_id.to_owned(),
            wait: Some(Duration::from_secs(seconds).into()),
            known_state: known.into(),
        };
        let response = self.users.clone().await_enrollment(request).await?;
        Ok(response.into_inner().enrollment.expect("an enrolment"))
    }

    /// The enrolment as it is now.
    pub(crate) async fn enrollment(&self, enrollment_id: &str) -> Enrollment {
        let now = self.wait_for_enrollment(enrollment_id, EnrollmentState::Unspecified, 0);
        now.await.expect("it can be read")
    }

    /// All about one user.
    pub(crate) async fn user(&self, user_id: &str) -> User {
        let request = GetUserRequest { user_id: user_id.to_owned() };
        let response = self.users.clone().get_user(request).await.expect("it can be read");
        response.into_inner().user.expect("a user")
    }

    pub(crate) async fn revoke(&self, user_id: &str, factor_id: &str) -> Result<User, Status> {
        let request = RevokeFactorRequest { user_id: user_id.to_owned(), factor_id: factor_id.to_owned() };
        let response = self.users.clone().revoke_factor(request).await?;
        Ok(response.into_inner().user.expect("a user"))
    }

    pub(crate) async fn delete(&self, user_id: &str) -> Result<(), Status> {
        let request = DeleteUserRequest { user_id: user_id.to_owned() };
        self.users.clone().delete_user(request).await.map(drop)
    }
}

impl Changes {
    /// The challenge as it has become; none once it was told as settled.
    pub(crate) async fn next(&mut self) -> Result<Option<Challenge>, Status> {
        Ok(self.0.message().await?.map(|told| told.challenge.expect("a challenge")))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A request with nothing but what is required.
pub(crate) fn asking(user_id: &str, attempt_id: &str) -> CreateChallengeRequest {
    CreateChallengeRequest {
        user_id: user_id.to_owned(),
        attempt_id: attempt_id.to_owned(),
        ..CreateChallengeRequest::default()
    }
}

/// A redemption to log in.
pub(crate) fn redeeming(challenge_id: &str, user_id: &str, attempt_id: &str) -> RedeemChallengeRequest {
    RedeemChallengeRequest {
        challenge_id: challenge_id.to_owned(),
        user_id: user_id.to_owned(),
        attempt_id: attempt_id.to_owned(),
        ..RedeemChallengeRequest::default()
    }
}

/// The beginning of a device's enrolment.
pub(crate) fn enrolling(user_id: &str) -> StartEnrollmentRequest {
    StartEnrollmentRequest {
        user_id: user_id.to_owned(),
        r#type: FactorType::Device.into(),
        account_name: format!("{user_id}@example.org"),
        authorization: None,
    }
}
