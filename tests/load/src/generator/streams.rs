//! Devices that hear of challenges on their streams.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc, time::Duration};

use countersign_proto::device::SubscribeResponse;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::Streaming;

use super::{
    User,
    backend::Backend,
    connections::connect,
    pending::{CALLS_OF_CONNECTION, CONNECTIONS_OF_ADDRESS, all},
};
use crate::{
    Failure,
    command::{Report, Target},
};

/// Far more than an event takes.
const EVENT_PATIENCE: Duration = Duration::from_mins(1);

/// Streams that are open, each with the number of its user.
#[derive(Default)]
pub(super) struct Streams(Vec<(usize, Streaming<SubscribeResponse>)>);

impl Streams {
    /// Opens so many streams of each device, on as few connections and from as many addresses as the server's limits
    /// ask for.
    pub(super) async fn open(
        &mut self,
        target: &Target,
        users: &[Arc<User>],
        of_device: u32,
    ) -> Result<Report, Failure> {
        let began = Instant::now();
        let devices: Vec<_> = (0..of_device).flat_map(|_| users.iter().cloned().enumerate()).collect();
        for (number, some) in devices.chunks(CALLS_OF_CONNECTION).enumerate() {
            let address = u8::try_from(2 + number / CONNECTIONS_OF_ADDRESS)?;
            let channel = connect(target.server, Ipv4Addr::new(127, 0, 0, address)).await?;
            let calls = some.iter().cloned().map(|(number, user)| {
                let channel = channel.clone();
                async move { Ok((number, user.device.subscribe(channel).await?)) }
            });
            self.0.extend(all(calls).await?);
        }
        Ok(self.report(began))
    }

    /// Asks each user's devices once, waits until each stream has told of it, and closes them.
    pub(super) async fn announce(
        &mut self,
        backend: &Backend,
        users: &[Arc<User>],
    ) -> Result<Report, Failure> {
        let began = Instant::now();
        let mut hearing = JoinSet::new();
        for (number, mut stream) in self.0.drain(..) {
            hearing.spawn(async move {
                let heard = timeout(EVENT_PATIENCE, next(&mut stream)).await;
                heard.map_err(|_| "no event")?.map(|challenge_id| (number, stream, challenge_id))
            });
        }
        let calls = users.iter().map(|user| {
            let (backend, user) = (backend.clone(), Arc::clone(user));
            async move { Ok((user.id.clone(), backend.create(&user.id, "announced").await?.challenge_id)) }
        });
        let asked: HashMap<_, _> = all(calls).await?.into_iter().collect();
        let mut told = Self::default();
        while let Some(heard) = hearing.join_next().await {
            let (number, stream, challenge_id) = heard??;
            if asked.get(&users[number].id) != Some(&challenge_id) {
                return Err("a stream told of another challenge".into());
            }
            told.0.push((number, stream));
        }
        Ok(told.report(began))
    }

    fn report(&self, began: Instant) -> Report {
        Report::done(u32::try_from(self.0.len()).unwrap_or(u32::MAX), began.elapsed())
    }
}

/// The next challenge that a stream tells of.
async fn next(stream: &mut Streaming<SubscribeResponse>) -> Result<String, Failure> {
    loop {
        let event = stream.message().await?.ok_or("a stream has ended")?;
        if let Some(challenge) = event.challenge {
            return Ok(challenge.challenge_id);
        }
    }
}
