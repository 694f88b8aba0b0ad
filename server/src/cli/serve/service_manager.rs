//! What systemd is told of the server, where the unit has `Type=notify`: sd_notify(3).

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The port is bound, and everything has been found good.
    Ready,
    /// It ends as soon as what was begun is finished.
    Stopping,
}

/// Tells whoever has started the server, if he asked for it (`NOTIFY_SOCKET`). That he cannot be told is logged.
pub(super) fn tell(state: State) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    let message = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    if let Err(error) = send(socket.as_bytes(), message) {
        tracing::warn!(error = %error, "the service manager cannot be told: {message}");
    }
}

fn send(socket: &[u8], message: &str) -> io::Result<()> {
    let address = match socket {
        // A name that is no path, unix(7).
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that reads nothing more must hold up neither start nor end.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address).map(drop)
}
