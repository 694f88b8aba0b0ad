//! What a test wants to happen.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::Notify;

use super::Kind;

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200.
    Accept,
    /// 200, once it is told to.
    AcceptWhen(Arc<Notify>),
    /// Another answer, once it is told to.
    After(Arc<Notify>, Box<Answer>),
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
            Self::After(_, then) => then.status(),
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
    pub(super) tokens: VecDeque<Answer>,
    pub(super) connections: VecDeque<ConnectionFault>,
    pub(super) one_stream: bool,
    /// Whether answers tell the time.
    pub(super) tells_date: bool,
}

impl Script {
    pub(super) fn answer(&mut self, kind: &Kind) -> Option<Answer> {
        match kind {
            Kind::Push(device_token) | Kind::Validation(device_token) => {
                let of_device = self.devices.get_mut(device_token).and_then(VecDeque::pop_front);
                of_device.or_else(|| self.next.pop_front())
            }
            Kind::Token => self.tokens.pop_front(),
        }
    }
}
