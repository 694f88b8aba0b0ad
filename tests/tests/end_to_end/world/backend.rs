//! A login backend, over real tonic clients.

use std::time::Duration;

use countersign_proto::{
    common::FactorType,
    login::{
        AwaitChallengeRequest, AwaitEnrollmentRequest, CancelChallengeRequest, Challenge,
        ConfirmEnrollmentRequest, CreateChallengeRequest, CreateChallengeResponse, DeleteUserRequest,
        Enrollment, EnrollmentState, GetUserRequest, RedeemChallengeRequest, RedeemChallengeResponse,
        RevokeFactorRequest, StartEnrollmentRequest, StartEnrollmentResponse, User,
        create_challenge_response::Outcome, login_service_client::LoginServiceClient,
        user_service_client::UserServiceClient,
    },
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A login backend: an application, its API key and its clients.
pub(crate) struct Backend {
    pub(crate) application_id: String,
    pub(crate) api_key: String,
    pub(crate) login: LoginServiceClient<InterceptedService<Channel, Bearer>>,
    pub(crate) users: UserServiceClient<InterceptedService<Channel, Bearer>>,
}

/// Sends an API key with each call.
#[derive(Clone)]
pub(crate) struct Bearer(pub(crate) MetadataValue<Ascii>);

impl Backend {
    /// Begins an enrolment of a device.
    pub(crate) async fn start_enrollment(&self, user_id: &str) -> StartEnrollmentResponse {
        self.try_start(enrolling(user_id)).await.expect("it starts")
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

    /// Redeems a challenge to log in.
    pub(crate) async fn redeem(
        &self,
        challenge_id: &str,
        user_id: &str,
        attempt_id: &str,
    ) -> Result<RedeemChallengeResponse, Status> {
        self.try_redeem(redeeming(challenge_id, user_id, attempt_id)).await
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
    }
}
