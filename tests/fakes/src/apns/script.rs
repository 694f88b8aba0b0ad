//! What a test wants to happen.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::sync::Notify;

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200.
    Accept,
    /// 200, once it is told to.
    AcceptWhen(Arc<Notify>),
    /// As written.
    Reply {
        /// The status code.
        status: u16,
        /// Further headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Not processed: `RST_STREAM` with `REFUSED_STREAM`.
    RefuseStream,
    /// 200, and then a graceful GOAWAY.
    AcceptAndGoAway,
    /// A GOAWAY that covers the request, which is never answered, and the end of the connection.
    GoAwayInstead,
    /// Never; the connection goes on.
    Silence,
    /// Never; nor does the connection do anything any more, though it stays open.
    Freeze,
    /// Never; the connection is closed.
    Hangup,
}

impl Answer {
    /// A refusal with one of Apple's reasons.
    pub fn refuse(status: u16, reason: &str) -> Self {
        Self::refuse_with(status, &json!({ "reason": reason }))
    }

    /// A refusal with a body of JSON.
    pub fn refuse_with(status: u16, body: &Value) -> Self {
        Self::Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    /// With `Retry-After`, in seconds or as an HTTP date. Only a [`Self::Reply`] can have it.
    #[must_use]
    pub fn retry_after(mut self, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push(("retry-after", value.to_owned()));
        }
        self
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Accept | Self::AcceptWhen(_) | Self::AcceptAndGoAway => Some(200),
            Self::Reply { status, .. } => Some(*status),
            Self::RefuseStream | Self::GoAwayInstead | Self::Silence | Self::Freeze | Self::Hangup => None,
        }
    }
}

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// It is taken, but there is no TLS handshake.
    SilentHandshake,
    /// Its first request is answered by a GOAWAY that says that nothing was processed.
    GoingAway,
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) devices: HashMap<String, VecDeque<Answer>>,
    pub(super) next: VecDeque<Answer>,
    pub(super) connections: VecDeque<ConnectionFault>,
    pub(super) one_stream: bool,
}

impl Script {
    pub(super) fn answer(&mut self, device_token: &str) -> Answer {
        let scripted = self.devices.get_mut(device_token).and_then(VecDeque::pop_front);
        scripted.or_else(|| self.next.pop_front()).unwrap_or(Answer::Accept)
    }
}
