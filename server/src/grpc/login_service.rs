//! `countersign.login.v1.LoginService`.

use std::sync::Arc;

use countersign_proto::login::{
    AwaitChallengeRequest, AwaitChallengeResponse, CancelChallengeRequest, CancelChallengeResponse,
    CreateChallengeRequest, CreateChallengeResponse, GetApplicationRequest, GetApplicationResponse,
    RedeemChallengeRequest, RedeemChallengeResponse, VerifyCodeRequest, VerifyCodeResponse,
    WatchChallengeRequest, WatchChallengeResponse, login_service_server::LoginService,
};
use tonic::{Request, Response, Status};

use super::{
    auth::{application, held_key},
    request::wait,
    stream::{EventStream, Events, events},
};
use crate::{
    core::Core,
    login::{Login, Watch},
    refusal::Refusal,
    wire::Shutdown,
};

pub(super) struct Service {
    pub(super) core: Arc<Core>,
    pub(super) login: Login,
    pub(super) shutdown: Shutdown,
}

#[tonic::async_trait]
impl LoginService for Service {
    async fn create_challenge(
        &self,
        request: Request<CreateChallengeRequest>,
    ) -> Result<Response<CreateChallengeResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        Ok(Response::new(self.login.create(&application, request.into_inner()).await?))
    }

    async fn await_challenge(
        &self,
        request: Request<AwaitChallengeRequest>,
    ) -> Result<Response<AwaitChallengeResponse>, Status> {
        let key = held_key(&self.core, request.metadata()).await?;
        let wait = wait(&request, request.get_ref().wait.as_ref())?;
        tokio::select! {
            challenge = self.login.wait_for(&key, &request.get_ref().challenge_id, wait) => {
                Ok(Response::new(AwaitChallengeResponse { challenge: Some(challenge?) }))
            }
            () = self.shutdown.begun() => Err(Refusal::ShuttingDown.into()),
        }
    }

    type WatchChallengeStream = EventStream<WatchChallengeResponse>;

    async fn watch_challenge(
        &self,
        request: Request<WatchChallengeRequest>,
    ) -> Result<Response<Self::WatchChallengeStream>, Status> {
        let key = held_key(&self.core, request.metadata()).await?;
        Ok(Response::new(events(self.login.watch(key, &request.get_ref().challenge_id).await?)))
    }

    async fn cancel_challenge(
        &self,
        request: Request<CancelChallengeRequest>,
    ) -> Result<Response<CancelChallengeResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        let challenge = self.login.cancel(&application, &request.get_ref().challenge_id).await?;
        Ok(Response::new(CancelChallengeResponse { challenge: Some(challenge) }))
    }

    async fn verify_code(
        &self,
        request: Request<VerifyCodeRequest>,
    ) -> Result<Response<VerifyCodeResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        Ok(Response::new(self.login.verify_code(&application, request.into_inner()).await?))
    }

    async fn redeem_challenge(
        &self,
        request: Request<RedeemChallengeRequest>,
    ) -> Result<Response<RedeemChallengeResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        Ok(Response::new(self.login.redeem(&application, request.into_inner()).await?))
    }

    async fn get_application(
        &self,
        request: Request<GetApplicationRequest>,
    ) -> Result<Response<GetApplicationResponse>, Status> {
        let application = application(&self.core, request.metadata()).await?;
        Ok(Response::new(self.login.application(&application)))
    }
}

impl Events for Watch {
    type Message = WatchChallengeResponse;

    async fn next(&mut self) -> Option<Result<WatchChallengeResponse, Refusal>> {
        let event = Watch::next(self).await?;
        Some(event.map(|challenge| WatchChallengeResponse { challenge: Some(challenge) }))
    }
}
