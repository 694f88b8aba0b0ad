//! The wire: one listener, one router, and the limits that keep both alive.
//!
//! tonic's own transport drops no silent client, gives connections an age without jitter, and lets a drain
//! wait for ever on an open stream; so the accept loop is ours, on hyper:
//!
//! ```text
//! listener -> accept -> slots -> TLS handshake -> connection (hyper) -> router -> calls
//!             (errors)  (shares) (time limit)     (idle, age, drain)             (shares, body, grpc-timeout)
//! ```
//!
//! Time limits of sockets run on tokio's monotonic clock, which no step of the wall clock can stretch; the
//! clock that is passed to use cases is for what is stored and signed.
//!
//! [`router()`] joins gRPC services and plain routes, [`serve`] serves them until a [`Shutdown`] begins.
//! Handlers find a [`Peer`], and in gRPC calls a [`Deadline`], among the extensions of their request.

mod accept;
mod answer;
mod body;
mod calls;
mod connection;
mod deadline;
mod limits;
mod refusals;
mod router;
mod shutdown;
mod slots;
pub mod tls;

pub use accept::{Drained, serve};
pub use connection::Peer;
pub use deadline::Deadline;
pub use limits::Limits;
pub use router::router;
pub use shutdown::Shutdown;
