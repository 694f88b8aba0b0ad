//! Anna's ways to log in: what the pages of her account call.

use countersign_proto::{
    common::FactorType,
    login::{
        Authorization, ConfirmEnrollmentRequest, EnrollmentState, IssueRecoveryCodeRequest,
        RevokeFactorRequest, StartEnrollmentRequest, UnlockUserRequest, User,
    },
};
use tonic::Status;

use super::{Backend, USER};
use crate::demo::error::DemoError;

/// What the phone knows her account by.
const ACCOUNT: &str = "anna@example.org";

impl Backend {
    /// Begins an enrolment: its id, and the pairing link that the page shows as a QR code. All but the first factor
    /// need an authorization.
    pub(in crate::demo) async fn start_enrollment(
        &mut self,
        authorization: Option<Authorization>,
    ) -> Result<(String, String), DemoError> {
        let request = StartEnrollmentRequest {
            user_id: USER.to_owned(),
            r#type: FactorType::Device.into(),
            account_name: ACCOUNT.to_owned(),
            authorization,
        };
        let started = self.users.start_enrollment(request).await?.into_inner();
        let enrollment = started.enrollment.ok_or(DemoError::Incomplete("enrolment"))?;
        Ok((enrollment.enrollment_id, started.uri))
    }

    /// The code that was typed on the page with the QR code.
    pub(in crate::demo) async fn confirm(
        &mut self,
        enrollment_id: &str,
        code: &str,
    ) -> Result<EnrollmentState, Status> {
        let request =
            ConfirmEnrollmentRequest { enrollment_id: enrollment_id.to_owned(), code: code.to_owned() };
        let confirmed = self.users.confirm_enrollment(request).await?.into_inner();
        Ok(confirmed.enrollment.unwrap_or_default().state())
    }

    /// A recovery code, shown once.
    pub(in crate::demo) async fn issue_recovery_code(
        &mut self,
        authorization: Authorization,
    ) -> Result<String, DemoError> {
        let request =
            IssueRecoveryCodeRequest { user_id: USER.to_owned(), authorization: Some(authorization) };
        Ok(self.users.issue_recovery_code(request).await?.into_inner().recovery_code)
    }

    /// Lets pushes and codes through again.
    pub(in crate::demo) async fn unlock(&mut self) -> Result<User, DemoError> {
        let request = UnlockUserRequest { user_id: USER.to_owned() };
        let unlocked = self.users.unlock_user(request).await?.into_inner();
        unlocked.user.ok_or(DemoError::Incomplete("user"))
    }

    /// Takes a device away for good.
    pub(in crate::demo) async fn revoke(&mut self, device_id: &str) -> Result<(), DemoError> {
        let request = RevokeFactorRequest { user_id: USER.to_owned(), factor_id: device_id.to_owned() };
        self.users.revoke_factor(request).await?;
        Ok(())
    }
}
