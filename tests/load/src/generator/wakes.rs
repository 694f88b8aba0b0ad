//! Pushes on their way from the stand-in for APNs to the devices.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};

use super::User;
use crate::Failure;

/// The device token of the user of this number: 32 bytes in hexadecimal digits. That of nothing but zeros is nobody's.
pub(super) fn device_token(number: usize) -> String {
    format!("{:064x}", number + 1)
}

/// The number of the user whose device token it is.
fn number_of(device_token: &str) -> Option<usize> {
    usize::from_str_radix(device_token, 16).ok()?.checked_sub(1)
}

/// Wakes the users' devices from now on, in a task of its own.
pub(super) async fn forward(from: SocketAddr, users: Arc<[Arc<User>]>) -> Result<(), Failure> {
    let mut lines = BufReader::new(TcpStream::connect(from).await?).lines();
    tokio::spawn(async move {
        // Without it every login fails, and says that no push came.
        while let Ok(Some(line)) = lines.next_line().await {
            let Some((device_token, challenge_id)) = line.split_once(' ') else { continue };
            if let Some(user) = number_of(device_token).and_then(|number| users.get(number)) {
                // The user lives as long as this task.
                let _ = user.wake.send(challenge_id.to_owned());
            }
        }
    });
    Ok(())
}
