//! Connections to the server.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tonic::transport::{Channel, Endpoint};

use crate::Failure;

/// Longer than any call may wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);
/// Of each address of ours. The server takes 256 connections of one.
const CONNECTIONS: usize = 8;

/// Several connections that take turns.
#[derive(Clone)]
pub(super) struct Connections {
    channels: Arc<[Channel]>,
    next: Arc<AtomicUsize>,
}

impl Connections {
    /// Connects.
    pub(super) async fn open(server: SocketAddr) -> Result<Self, Failure> {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(connect(server, Ipv4Addr::LOCALHOST).await?);
        }
        Ok(Self { channels: channels.into(), next: Arc::default() })
    }

    /// The next one.
    pub(super) fn next(&self) -> Channel {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.channels[next % self.channels.len()].clone()
    }
}

/// One connection, from `from`. All of 127.0.0.0/8 is this machine (RFC 1122, section 3.2.1.3).
pub(super) async fn connect(server: SocketAddr, from: Ipv4Addr) -> Result<Channel, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{server}"))?.timeout(CALL_TIMEOUT);
    Ok(endpoint.local_address(Some(IpAddr::V4(from))).connect().await?)
}
