//! `countersign.device.v1.DeviceService`.

use std::sync::Arc;

use countersign_proto::device::{
    ChangeDeviceRequest, ChangeDeviceResponse, EnrollRequest, EnrollResponse, GetAccountRequest,
    GetAccountResponse, GetChallengeRequest, GetChallengeResponse, GetOfferRequest, GetOfferResponse,
    ListChallengesRequest, ListChallengesResponse, RespondRequest, RespondResponse, SubscribeRequest,
    SubscribeResponse, device_service_server::DeviceService,
};
use tonic::{Request, Response, Status};

use super::{
    SUBSCRIBE,
    request::caller,
    stream::{EventStream, Events, events},
};
use crate::{
    account::Accounts,
    approval::{Approval, Subscription},
    core::Core,
    enrollment::Enrollment,
    refusal::Refusal,
};

pub(super) struct Service {
    pub(super) core: Arc<Core>,
    pub(super) approval: Approval,
    pub(super) accounts: Accounts,
    pub(super) enrollment: Enrollment,
}

#[tonic::async_trait]
impl DeviceService for Service {
    async fn get_offer(
        &self,
        request: Request<GetOfferRequest>,
    ) -> Result<Response<GetOfferResponse>, Status> {
        Ok(Response::new(self.enrollment.offer(&request.get_ref().token).await?))
    }

    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        Ok(Response::new(self.enrollment.enroll(request.into_inner()).await?))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let caller = caller(&self.core, "/countersign.device.v1.DeviceService/GetAccount", &request)?;
        Ok(Response::new(self.accounts.get(caller).await?))
    }

    async fn list_challenges(
        &self,
        request: Request<ListChallengesRequest>,
    ) -> Result<Response<ListChallengesResponse>, Status> {
        let caller = caller(&self.core, "/countersign.device.v1.DeviceService/ListChallenges", &request)?;
        Ok(Response::new(ListChallengesResponse { challenges: self.approval.list(caller).await? }))
    }

    async fn get_challenge(
        &self,
        request: Request<GetChallengeRequest>,
    ) -> Result<Response<GetChallengeResponse>, Status> {
        let caller = caller(&self.core, "/countersign.device.v1.DeviceService/GetChallenge", &request)?;
        let challenge = self.approval.get(caller, &request.get_ref().challenge_id).await?;
        Ok(Response::new(GetChallengeResponse { challenge: Some(challenge) }))
    }

    async fn respond(&self, request: Request<RespondRequest>) -> Result<Response<RespondResponse>, Status> {
        Ok(Response::new(self.approval.respond(request.into_inner()).await?))
    }

    type SubscribeStream = EventStream<SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = caller(&self.core, SUBSCRIBE, &request)?;
        Ok(Response::new(events(self.approval.subscribe(caller).await?)))
    }

    async fn change_device(
        &self,
        request: Request<ChangeDeviceRequest>,
    ) -> Result<Response<ChangeDeviceResponse>, Status> {
        let account = self.accounts.change(request.into_inner()).await?;
        Ok(Response::new(ChangeDeviceResponse { account }))
    }
}

impl Events for Subscription {
    type Message = SubscribeResponse;

    async fn next(&mut self) -> Option<Result<SubscribeResponse, Refusal>> {
        let event = Subscription::next(self).await?;
        Some(event.map(|challenge| SubscribeResponse { challenge }))
    }
}
