//! `countersign.login.v1.UserService`.

use std::sync::Arc;

use countersign_proto::login::{
    AwaitEnrollmentRequest, AwaitEnrollmentResponse, ConfirmEnrollmentRequest, ConfirmEnrollmentResponse,
    DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse, IssueRecoveryCodeRequest,
    IssueRecoveryCodeResponse, RevokeFactorRequest, RevokeFactorResponse, StartEnrollmentRequest,
    StartEnrollmentResponse, UnlockUserRequest, UnlockUserResponse, user_service_server::UserService,
};
use tonic::{Request, Response, Status};

use super::{
    auth::{application, held_key},
    request::wait,
};
use crate::{core::Core, enrollment::Enrollment, refusal::Refusal, users::Users, wire::Shutdown};

pub(super) struct Service {
    pub(super) core: Arc<Core>,
    pub(super) users: Users,
    pub(super) enrollment: Enrollment,
    pub(super) shutdown: Shutdown,
}

#[tonic::async_trait]
impl UserService for Service {
    async fn start_enrollment(
        &self,
        request: Request<StartEnrollmentRequest>,
    ) -> Result<Response<StartEnrollmentResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        Ok(Response::new(self.enrollment.start(&application, request.into_inner()).await?))
    }

    async fn await_enrollment(
        &self,
        request: Request<AwaitEnrollmentRequest>,
    ) -> Result<Response<AwaitEnrollmentResponse>, Status> {
        let key = held_key(&self.core, request.metadata()).await?;
        let asked = request.get_ref();
        let wait = wait(&request, asked.wait.as_ref())?;
        tokio::select! {
            enrollment = self.enrollment.wait_for(
                &key, &asked.enrollment_id, asked.known_state, wait
            ) => Ok(Response::new(AwaitEnrollmentResponse { enrollment: Some(enrollment?) })),
            () = self.shutdown.begun() => Err(Refusal::ShuttingDown.into()),
        }
    }

    async fn confirm_enrollment(
        &self,
        request: Request<ConfirmEnrollmentRequest>,
    ) -> Result<Response<ConfirmEnrollmentResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        let ConfirmEnrollmentRequest { enrollment_id, code } = request.get_ref();
        let enrollment = self.enrollment.confirm(&application, enrollment_id, code).await?;
        Ok(Response::new(ConfirmEnrollmentResponse { enrollment: Some(enrollment) }))
    }

    async fn issue_recovery_code(
        &self,
        request: Request<IssueRecoveryCodeRequest>,
    ) -> Result<Response<IssueRecoveryCodeResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        let IssueRecoveryCodeRequest { user_id, authorization } = request.into_inner();
        let issued = self.users.issue_recovery_code(&application, &user_id, authorization);
        Ok(Response::new(issued.await?))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        Ok(Response::new(self.users.get(&application, &request.get_ref().user_id).await?))
    }

    async fn unlock_user(
        &self,
        request: Request<UnlockUserRequest>,
    ) -> Result<Response<UnlockUserResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        let user = self.users.unlock(&application, &request.get_ref().user_id).await?;
        Ok(Response::new(UnlockUserResponse { user: Some(user) }))
    }

    async fn revoke_factor(
        &self,
        request: Request<RevokeFactorRequest>,
    ) -> Result<Response<RevokeFactorResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        let RevokeFactorRequest { user_id, factor_id } = request.get_ref();
        let user = self.users.revoke(&application, user_id, factor_id).await?;
        Ok(Response::new(RevokeFactorResponse { user: Some(user) }))
    }

    async fn delete_user(
        &self,
        request: Request<DeleteUserRequest>,
    ) -> Result<Response<DeleteUserResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        self.users.delete(&application, &request.get_ref().user_id).await?;
        Ok(Response::new(DeleteUserResponse {}))
    }
}
