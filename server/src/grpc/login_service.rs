//! `countersign.login.v1.LoginService`.

use std::{pin::pin, sync::Arc, time::Duration};

use countersign_proto::login::{
    AwaitChallengeRequest, AwaitChallengeResponse, CancelChallengeRequest, CancelChallengeResponse,
    CreateChallengeRequest, CreateChallengeResponse, GetApplicationRequest, GetApplicationResponse,
    RedeemChallengeRequest, RedeemChallengeResponse, VerifyCodeRequest, VerifyCodeResponse,
    WatchChallengeRequest, WatchChallengeResponse, login_service_server::LoginService,
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    auth::application,
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
        let application = application(&self.core, request.metadata()).await?;
        let wait = wait(&request, request.get_ref().wait.as_ref())?;
        tokio::select! {
            challenge = self.login.wait_for(&application, &request.get_ref().challenge_id, wait) => {
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
        let application = application(&self.core, request.metadata()).await?;
        let watch = self.login.watch(application, &request.get_ref().challenge_id).await?;
        let metadata = request.metadata().clone();
        Ok(Response::new(events(WatchWithKey { watch, core: Arc::clone(&self.core), metadata })))
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

/// How often it is looked whether the API key is still good.
const KEY_CHECKED_EVERY: Duration = Duration::from_secs(25);

/// A stream that ends when the API key that opened it is revoked.
struct WatchWithKey {
    watch: Watch,
    core: Arc<Core>,
    metadata: MetadataMap,
}

/// That the key is still good. A store that is away for a moment is no end for somebody who waits anyway.
async fn check_key(core: &Core, metadata: &MetadataMap) -> Result<(), Refusal> {
    match application(core, metadata).await {
        Ok(_) | Err(Refusal::StoreUnavailable | Refusal::RateLimited) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

impl Events for WatchWithKey {
    type Message = WatchChallengeResponse;

    async fn next(&mut self) -> Option<Result<WatchChallengeResponse, Refusal>> {
        let Self { watch, core, metadata } = self;
        let checked = {
            let mut event = pin!(watch.next());
            loop {
                // What it waits for is not begun anew.
                let event = tokio::select! {
                    event = &mut event => Some(event?),
                    () = core.clock.sleep(KEY_CHECKED_EVERY) => None,
                };
                match (check_key(core, metadata).await, event) {
                    (Ok(()), None) => {}
                    (Ok(()), Some(event)) => break Ok(event),
                    (Err(refusal), _) => break Err(refusal),
                }
            }
        };
        let event = checked.unwrap_or_else(|refusal| {
            watch.end();
            Err(refusal)
        });
        Some(event.map(|challenge| WatchChallengeResponse { challenge: Some(challenge) }))
    }
}
