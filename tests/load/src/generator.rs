//! The process that makes the load: a login backend and its users' devices.

mod arrivals;
mod backend;
mod calls;
mod codes;
mod connections;
mod device;
mod enrollment;
mod login;
mod pending;
mod streams;
mod wakes;

use std::sync::{Arc, atomic::AtomicU32};

use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

use self::{backend::Backend, pending::Pending, streams::Streams};
pub use self::{device::Device, login::User};
use crate::{
    Failure,
    command::{Command, Report, Target},
    role,
};

/// Takes commands from standard input until it ends.
pub async fn run() -> Result<(), Failure> {
    let mut lines = BufReader::new(stdin()).lines();
    let mut generator = None;
    while let Some(line) = lines.next_line().await? {
        let told = match (serde_json::from_str(&line)?, &mut generator) {
            (Command::Enroll(target), _) => Generator::enroll(&target).await.map(|(enrolled, report)| {
                generator = Some(enrolled);
                report
            }),
            (command, Some(generator)) => generator.obey(command).await,
            (_, None) => Err("nobody is enrolled yet".into()),
        };
        role::tell(&told.map_err(|failure| failure.to_string()))?;
    }
    Ok(())
}

/// A login backend and its users, each with one device.
pub struct Generator {
    target: Target,
    backend: Backend,
    users: Arc<[Arc<User>]>,
    /// How many logins have begun: it chooses the user and names the attempt.
    begun: Arc<AtomicU32>,
    pending: Pending,
    streams: Streams,
}

impl Generator {
    /// Connects, and enrols the users.
    pub async fn enroll(target: &Target) -> Result<(Self, Report), Failure> {
        let backend = Backend::connect(target).await?;
        let (users, report) = enrollment::enroll_all(target, &backend).await?;
        if let Some(wakes) = target.wakes {
            wakes::forward(wakes, Arc::clone(&users)).await?;
        }
        let (begun, pending, streams) = (Arc::default(), Pending::default(), Streams::default());
        Ok((Self { target: target.clone(), backend, users, begun, pending, streams }, report))
    }

    /// Does what it is told.
    pub async fn obey(&mut self, command: Command) -> Result<Report, Failure> {
        match command {
            Command::Enroll(_) => Err("users are enrolled already".into()),
            Command::Call { method, in_flight, seconds } => {
                calls::call(&self.target, method, in_flight, seconds).await
            }
            Command::LogIn(load) => Ok(arrivals::log_in(self, load).await),
            Command::LogInByCode { logins } => Ok(arrivals::log_in_by_code(self, logins).await),
            Command::Ask => self.pending.ask(&self.backend, &self.users).await,
            Command::Wait => self.pending.wait(&self.target).await,
            Command::Watch { of_challenge } => {
                self.pending.watch(&self.target, &self.backend, of_challenge).await
            }
            Command::Subscribe { of_device } => self.streams.open(&self.target, &self.users, of_device).await,
            Command::Announce => self.streams.announce(&self.backend, &self.users).await,
            Command::Withdraw => self.pending.withdraw(&self.backend).await,
            Command::SettleInTurn { at } => {
                let target = Target { server: at, ..self.target.clone() };
                self.pending.settle_in_turn(&target, &self.users).await
            }
        }
    }
}
