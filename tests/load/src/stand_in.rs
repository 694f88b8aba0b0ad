//! The process that stands in for APNs. Beside that, it tells whoever connects of each push that it accepted: so
//! a device of the generator wakes when a phone would.

use std::{io, net::Ipv4Addr};

use countersign_fakes::apns::ApnsStandIn;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{Failure, clock, role};

/// The app that devices are woken in.
pub const TOPIC: &str = "org.example.login";

/// What the server is to be configured with, and where wakes are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StandIn {
    /// Such as `https://localhost:41234`.
    pub base_url: String,
    /// What its certificate is checked with.
    pub ca_pem: String,
    /// As Apple hands it out.
    pub private_key_pem: String,
    /// Of that key.
    pub key_id: String,
    /// Of the developer.
    pub team_id: String,
    /// Whoever connects is told of each push: a line with device token and challenge id.
    pub wakes: std::net::SocketAddr,
}

/// Runs until standard input ends.
pub async fn run() -> Result<(), Failure> {
    let (apple, wakes) = start().await?;
    role::tell(&Ok(description(&apple, &wakes)?))?;
    let mut input = tokio::io::stdin();
    let mut ignored = [0; 16];
    tokio::select! {
        told = tell_of_pushes(&apple, wakes) => told?,
        ended = async { while input.read(&mut ignored).await? > 0 {} Ok::<_, io::Error>(()) } => ended?,
    }
    Ok(())
}

/// Starts a stand-in, and listens for one who wants to be told of pushes.
pub async fn start() -> io::Result<(ApnsStandIn, TcpListener)> {
    let apple = ApnsStandIn::start(&[TOPIC], || clock::now().as_seconds()).await?;
    Ok((apple, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?))
}

/// What both are reached by.
pub fn description(apple: &ApnsStandIn, wakes: &TcpListener) -> io::Result<StandIn> {
    let key = apple.signing_key();
    Ok(StandIn {
        base_url: apple.base_url(),
        ca_pem: apple.ca_pem().to_owned(),
        private_key_pem: key.private_key_pem.clone(),
        key_id: key.key_id.clone(),
        team_id: key.team_id.clone(),
        wakes: wakes.local_addr()?,
    })
}

/// Tells the first who connects of each push that was accepted, until it hangs up.
pub async fn tell_of_pushes(apple: &ApnsStandIn, wakes: TcpListener) -> io::Result<()> {
    let (mut generator, _) = wakes.accept().await?;
    generator.set_nodelay(true)?;
    loop {
        let push = apple.next_request().await;
        if push.status == Some(200)
            && let Some(challenge_id) = push.body["countersign"]["c"].as_str()
        {
            let line = format!("{} {challenge_id}\n", push.device_token);
            generator.write_all(line.as_bytes()).await?;
        }
    }
}
