//! Calls that do next to nothing: the floor below every login.

use std::time::Duration;

use countersign_proto::login::{GetApplicationRequest, login_service_client::LoginServiceClient};
use tokio::{task::JoinSet, time::Instant};
use tonic::{Request, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{backend::authorization, connections::Connections};
use crate::{
    Failure,
    command::{Method, Report, Target},
};

/// Makes calls for so long.
pub(super) async fn call(
    target: &Target,
    method: Method,
    in_flight: u32,
    seconds: u32,
) -> Result<Report, Failure> {
    let connections = Connections::open(target.server).await?;
    let began = Instant::now();
    let until = began + Duration::from_secs(1) * seconds;
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (channel, api_key) = (connections.next(), target.api_key.clone());
        tasks.spawn(async move {
            let mut done = 0;
            while Instant::now() < until {
                match method {
                    Method::Health => check_health(channel.clone()).await?,
                    Method::Application => get_application(channel.clone(), &api_key).await?,
                }
                done += 1;
            }
            Ok::<u32, Failure>(done)
        });
    }
    let mut done = 0;
    while let Some(ended) = tasks.join_next().await {
        done += ended??;
    }
    Ok(Report::done(done, began.elapsed()))
}

async fn check_health(channel: Channel) -> Result<(), Failure> {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
    Ok(())
}

async fn get_application(channel: Channel, api_key: &str) -> Result<(), Failure> {
    let mut request = Request::new(GetApplicationRequest {});
    request.metadata_mut().insert("authorization", authorization(api_key)?);
    LoginServiceClient::new(channel).get_application(request).await?;
    Ok(())
}
