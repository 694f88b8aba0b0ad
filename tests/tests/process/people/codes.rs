//! Codes, and what one more factor needs.

use countersign_proto::{
    common::FactorType,
    login::{
        Authorization, Challenge, CodeResult, CreateChallengeRequest, IssueRecoveryCodeRequest,
        IssueRecoveryCodeResponse, RedeemChallengeRequest, StartEnrollmentRequest, StartEnrollmentResponse,
        UnlockUserRequest, User, VerifyCodeRequest,
    },
    statement::Purpose,
};
use tonic::Status;

use super::{Backend, Device, created};
use crate::program::soon;

impl Backend {
    /// Types a code on the login page.
    pub(crate) async fn verify(
        &self,
        challenge_id: &str,
        code: &str,
    ) -> Result<(CodeResult, Challenge), Status> {
        let request = VerifyCodeRequest {
            challenge_id: challenge_id.to_owned(),
            code: code.to_owned(),
            ..VerifyCodeRequest::default()
        };
        let response = self.login.clone().verify_code(request).await?.into_inner();
        Ok((response.result(), response.challenge.expect("a challenge")))
    }

    /// An approval of one more factor, by this device.
    pub(crate) async fn authorization(
        &self,
        user_id: &str,
        attempt_id: &str,
        device: &Device,
    ) -> Authorization {
        let request = CreateChallengeRequest {
            user_id: user_id.to_owned(),
            attempt_id: attempt_id.to_owned(),
            purpose: Purpose::ManageFactors.into(),
            ..CreateChallengeRequest::default()
        };
        let response = soon(self.login.clone().create_challenge(request)).await.expect("it is created");
        let (challenge, match_code) = created(response.into_inner());
        let challenge_id = challenge.challenge_id;
        let answer = soon(device.approve(&challenge_id, &match_code)).await.expect("it counts");
        assert!(answer.accepted, "{answer:?}");
        let attempt_id = attempt_id.to_owned();
        let redeem = RedeemChallengeRequest {
            challenge_id: challenge_id.clone(),
            user_id: user_id.to_owned(),
            attempt_id: attempt_id.clone(),
            purpose: Purpose::ManageFactors.into(),
        };
        soon(self.login.clone().redeem_challenge(redeem)).await.expect("approved");
        Authorization { challenge_id, attempt_id }
    }

    /// Begins the enrolment of one more factor.
    pub(crate) async fn start_another(
        &self,
        user_id: &str,
        factor_type: FactorType,
        authorization: Option<Authorization>,
    ) -> Result<StartEnrollmentResponse, Status> {
        let request = StartEnrollmentRequest {
            user_id: user_id.to_owned(),
            r#type: factor_type.into(),
            account_name: format!("{user_id}@example.org"),
            authorization,
        };
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

    /// Lets codes and pushes through again.
    pub(crate) async fn unlock(&self, user_id: &str) -> User {
        let request = UnlockUserRequest { user_id: user_id.to_owned() };
        let response = soon(self.users.clone().unlock_user(request)).await.expect("it is unlocked");
        response.into_inner().user.expect("a user")
    }
}
