//! `[limits]`: what one caller may take of the server.

use std::time::Duration;

use super::{error::ConfigError, sources::Section};

/// How long calls in flight get to finish, at most, whatever is configured.
const LONGEST_DRAIN_SECONDS: u32 = 20;

/// What one caller may take of the server. In the file the times are named with their unit, `_seconds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Connections at a time, all callers together.
    pub connections: u32,
    /// Connections at a time from one IP address (IPv6: one /64 network); at most `connections`.
    pub connections_per_address: u32,
    /// Calls at a time on one connection.
    pub streams_per_connection: u32,
    /// Open streams (`Subscribe`, `WatchChallenge`) at a time, all callers together.
    pub open_streams: u32,
    /// Open streams at a time from one IP address (IPv6: one /64 network); at most `open_streams`.
    pub open_streams_per_address: u32,
    /// Open streams at a time of one device.
    pub open_streams_per_device: u32,
    /// The longest message of a call, in bytes.
    pub message_bytes: u32,
    /// All headers of a call together, in bytes.
    pub header_bytes: u32,
    /// How long the TLS handshake of a connection may take.
    pub handshake: Duration,
    /// How long a connection may stay without a call.
    pub idle: Duration,
    /// How long a connection may be silent until it is asked for a sign of life.
    pub keepalive: Duration,
    /// How long that sign of life may take.
    pub keepalive_timeout: Duration,
    /// How old a connection grows, give or take a little, until its calls go to a new one.
    pub connection_age: Duration,
    /// How long ending the server may take: calls in flight get so long to finish.
    pub drain: Duration,
}

pub(super) fn read(mut section: Section) -> Result<LimitsConfig, ConfigError> {
    let connections = section.get("connections");
    let per_address = section.get("connections_per_address");
    let streams = section.get("streams_per_connection");
    let open_streams = section.get("open_streams");
    let open_per_address = section.get("open_streams_per_address");
    let open_per_device = section.get("open_streams_per_device");
    let message_bytes = section.get("message_bytes");
    let header_bytes = section.get("header_bytes");
    let handshake = section.get("handshake_seconds");
    let idle = section.get("idle_seconds");
    let keepalive = section.get("keepalive_seconds");
    let keepalive_timeout = section.get("keepalive_timeout_seconds");
    let connection_age = section.get("connection_age_seconds");
    let drain = section.get("drain_seconds");
    section.finish()?;

    let connections = connections.number(10_000, 1..=1_000_000)?;
    let per_address_number = per_address.number(connections.min(256), 1..=1_000_000)?;
    if per_address_number > connections {
        return Err(
            per_address.refuse(&format!("must be at most limits.connections, which is {connections}"))
        );
    }
    let open_streams = open_streams.number(20_000, 1..=1_000_000)?;
    let open_per_address_number = open_per_address.number(open_streams.min(4_096), 1..=1_000_000)?;
    if open_per_address_number > open_streams {
        return Err(
            open_per_address.refuse(&format!("must be at most limits.open_streams, which is {open_streams}"))
        );
    }
    Ok(LimitsConfig {
        connections,
        connections_per_address: per_address_number,
        streams_per_connection: streams.number(1_000, 1..=100_000)?,
        open_streams,
        open_streams_per_address: open_per_address_number,
        open_streams_per_device: open_per_device.number(4, 1..=100_000)?,
        message_bytes: message_bytes.number(65_536, 16_384..=4_194_304)?,
        header_bytes: header_bytes.number(16_384, 4_096..=1_048_576)?,
        handshake: handshake.seconds(10, 1..=120)?,
        idle: idle.seconds(300, 10..=86_400)?,
        keepalive: keepalive.seconds(60, 5..=3_600)?,
        keepalive_timeout: keepalive_timeout.seconds(20, 1..=120)?,
        connection_age: connection_age.seconds(3_600, 60..=604_800)?,
        drain: drain.seconds(LONGEST_DRAIN_SECONDS, 1..=LONGEST_DRAIN_SECONDS)?,
    })
}
