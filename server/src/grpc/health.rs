//! Health, as load balancers and orchestrators ask for it (`grpc.health.v1`).

use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::health_reporter,
};

use crate::wire::Shutdown;

/// The health service. The empty name stands for the whole server, and each of `services` (full names such as
/// `countersign.login.v1.LoginService`) is told of too: serving from the start, and not any more once the
/// shutdown begins, so that who still holds a connection goes elsewhere.
pub async fn service(services: &'static [&'static str], shutdown: &Shutdown) -> HealthServer<impl Health> {
    let (reporter, server) = health_reporter();
    for service in services {
        reporter.set_service_status(*service, ServingStatus::Serving).await;
    }
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        shutdown.begun().await;
        reporter.set_service_status("", ServingStatus::NotServing).await;
        for service in services {
            reporter.set_service_status(*service, ServingStatus::NotServing).await;
        }
    });
    server
}
