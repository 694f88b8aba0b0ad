//! The gRPC side of the server: the services of the contract, each thin on its use cases.

mod auth;
mod device_service;
pub mod health;
mod login_service;
pub mod reflection;
mod request;
mod stream;
mod user_service;

use std::sync::Arc;

use countersign_proto::{
    device::device_service_server::DeviceServiceServer,
    login::{login_service_server::LoginServiceServer, user_service_server::UserServiceServer},
};
use tonic::service::Routes;

use crate::{
    account::Accounts,
    approval::Approval,
    core::Core,
    enrollment::{Enrollment, Origins},
    login::Login,
    push::configured::ServedTargets,
    users::Users,
    wire::Shutdown,
};

/// The services by their full names.
const SERVICES: [&str; 3] = [
    "countersign.device.v1.DeviceService",
    "countersign.login.v1.LoginService",
    "countersign.login.v1.UserService",
];

/// Calls whose answers are streams that stay open for long.
pub const STREAMS: [&str; 2] = [SUBSCRIBE, WATCH_CHALLENGE];

const SUBSCRIBE: &str = "/countersign.device.v1.DeviceService/Subscribe";
const WATCH_CHALLENGE: &str = "/countersign.login.v1.LoginService/WatchChallenge";

/// What the services are built from besides the core.
pub struct Settings {
    /// Where pairing links lead.
    pub origins: Origins,
    /// Where devices may be woken.
    pub served: Arc<ServedTargets>,
    /// The largest message that is read.
    pub message_bytes: usize,
}

/// All services, with health and reflection.
pub async fn services(core: &Arc<Core>, settings: Settings, shutdown: &Shutdown) -> Routes {
    let Settings { origins, served, message_bytes } = settings;
    let enrollment = Enrollment::new(Arc::clone(core), origins);
    let login = login_service::Service {
        core: Arc::clone(core),
        login: Login::new(Arc::clone(core)),
        shutdown: shutdown.clone(),
    };
    let users = user_service::Service {
        core: Arc::clone(core),
        users: Users::new(Arc::clone(core)),
        enrollment: enrollment.clone(),
        shutdown: shutdown.clone(),
    };
    let devices = device_service::Service {
        core: Arc::clone(core),
        approval: Approval::new(Arc::clone(core)),
        accounts: Accounts::new(Arc::clone(core), served),
        enrollment,
    };
    let health = health::service(&SERVICES, shutdown).await;
    Routes::new(LoginServiceServer::new(login).max_decoding_message_size(message_bytes))
        .add_service(UserServiceServer::new(users).max_decoding_message_size(message_bytes))
        .add_service(DeviceServiceServer::new(devices).max_decoding_message_size(message_bytes))
        .add_service(health)
        .add_service(reflection::v1())
        .add_service(reflection::v1alpha())
}
