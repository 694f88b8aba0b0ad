//! Wake-ups over publish and subscribe: one channel for each server.
//!
//! The commit script publishes what has ended to the channels of the servers that wait for the user, in the
//! same step as the write: so a commit whose answer is lost wakes them as well, and Redis sends its messages
//! only after it has written its append-only file.

use std::{future::Future, pin::Pin, time::Duration};

use countersign_domain::id::{ChallengeId, UserTag};
use redis::{
    Client, Pipeline,
    aio::{PubSub, PubSubStream},
};
use tokio::time::{interval, timeout};
use tokio_stream::StreamExt as _;

use super::{RedisStore, failure::described, message};
use crate::store::{
    StoreError, StoreFuture,
    wakeups::{Wakeup, Wakeups},
};

/// How often a server looks whether its channel still brings messages.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long between two tries to subscribe.
const PAUSE: Duration = Duration::from_millis(250);
/// How long subscribing may take.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(2);
/// How long a server is told of a user's challenges once it has asked for it: longer than a stream lives, a call
/// waits, or a push is tried again.
const WATCHED_FOR: Duration = Duration::from_mins(16);
/// What a server sends itself to see whether its channel works.
const PING: &str = "";

impl Wakeups for RedisStore {
    fn watch(&self, user: UserTag) -> StoreFuture<'_, ()> {
        Box::pin(self.join(self.keys.waiting(user), "wakeups.watch"))
    }

    fn watch_deliveries(&self, user: UserTag) -> StoreFuture<'_, ()> {
        Box::pin(self.join(self.keys.watching_deliveries(user), "wakeups.watch_deliveries"))
    }

    fn listen<'a>(
        &'a self,
        tell: &'a (dyn Fn(Wakeup) + Send + Sync),
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            tokio::join!(self.keep_subscribed(tell), self.tell_of_new_connections(tell));
        })
    }
}

impl RedisStore {
    /// Puts this server into a set of those that are told of something.
    async fn join(&self, set: String, operation: &'static str) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        commands.sadd(&set, &self.server).ignore();
        commands.pexpire(&set, i64::try_from(WATCHED_FOR.as_millis()).unwrap_or(i64::MAX)).ignore();
        let asked = self.link.pipeline(&commands, self.link.deadline()).await;
        asked.map_err(|failure| self.told(operation, &failure))
    }

    /// Tells `servers`, but for this one, that a wake-up for a challenge has come farther. Only informs: who misses it
    /// reads it with the next change.
    pub(super) async fn tell_of_delivery(&self, servers: &[String], challenge: ChallengeId) {
        let mut messages = Pipeline::new();
        for server in servers.iter().filter(|server| **server != self.server) {
            let channel = format!("{}{server}", self.keys.channels());
            messages.publish(channel, message::of_delivery(challenge)).ignore();
        }
        if !messages.is_empty() {
            let _: Result<(), _> = self.link.pipeline(&messages, self.link.deadline()).await;
        }
    }

    /// While the link was down calls may have failed to read, so they read again now that it is up.
    async fn tell_of_new_connections(&self, tell: &(dyn Fn(Wakeup) + Send + Sync)) {
        let mut ups = self.link.ups();
        loop {
            ups.next().await;
            tell(Wakeup::Gap);
        }
    }

    async fn keep_subscribed(&self, tell: &(dyn Fn(Wakeup) + Send + Sync)) {
        let channel = format!("{}{}", self.keys.channels(), self.server);
        let mut pause = interval(PAUSE);
        pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut is_told, mut was_interrupted) = (false, false);
        loop {
            pause.tick().await;
            match subscribed(&self.client, &channel).await {
                Ok(messages) => {
                    if is_told || was_interrupted {
                        tracing::info!("wake-ups from other servers come again");
                    }
                    is_told = false;
                    // What was published before the subscription is lost.
                    tell(Wakeup::Gap);
                    tokio::select! {
                        () = self.pass_on(messages, tell) => {}
                        () = self.ping(&channel) => {}
                    }
                    tracing::warn!("wake-ups from other servers are interrupted; subscribing again");
                    was_interrupted = true;
                }
                Err(reason) if !is_told => {
                    is_told = true;
                    tracing::error!(redis.error = %reason, "no wake-ups from other servers: waiting calls poll");
                }
                Err(_) => {}
            }
        }
    }

    /// Passes messages on until the channel brings no more: the connection broke, or pings are missed.
    async fn pass_on(&self, mut messages: PubSubStream, tell: &(dyn Fn(Wakeup) + Send + Sync)) {
        while let Ok(Some(message)) = timeout(2 * PING_EVERY, messages.next()).await {
            if let Some(wakeup) = message::read(message.get_payload_bytes()) {
                tell(wakeup);
            }
        }
    }

    /// Pings this server's own channel for ever. A ping that cannot be sent is one that is missed; the link tells of
    /// its troubles itself.
    async fn ping(&self, channel: &str) {
        let mut ping = Pipeline::new();
        ping.cmd("PUBLISH").arg(channel).arg(PING).ignore();
        let mut pings = interval(PING_EVERY);
        loop {
            pings.tick().await;
            let _: Result<(), _> = self.link.pipeline(&ping, self.link.deadline()).await;
        }
    }
}

/// Messages of the channel, or why it cannot be subscribed.
async fn subscribed(client: &Client, channel: &str) -> Result<PubSubStream, String> {
    let subscribe = async {
        let mut connection: PubSub = client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        Ok::<_, redis::RedisError>(connection.into_on_message())
    };
    match timeout(SUBSCRIBE_WITHIN, subscribe).await {
        Ok(subscribed) => subscribed.map_err(|error| described(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
