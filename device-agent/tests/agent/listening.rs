//! Listening: over the ends of streams, until it makes no sense any more.

use std::time::Duration;

use countersign_agent::{Account, ChallengeState, Error, ErrorReason, News, Settled};
use countersign_proto::device::SubscribeResponse;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tonic::Code;

use crate::{
    script::{CHALLENGE, NOW, Stream, refusal, server_key},
    server::Stage,
};

/// Somebody who listens, and a server that asks.
struct Listening {
    stage: Stage,
    news: UnboundedReceiver<News>,
    ended: JoinHandle<Error>,
    /// The first stream, which is open.
    stream: Stream,
}

async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), event).await.unwrap()
}

fn listen(account: Account) -> (UnboundedReceiver<News>, JoinHandle<Error>) {
    let (tell, news) = unbounded_channel();
    let ended = tokio::spawn(async move { account.listen(&mut |news| drop(tell.send(news))).await });
    (news, ended)
}

impl Listening {
    /// A challenge has been told of.
    async fn to_a_challenge() -> Self {
        let (stage, account) = Stage::enrolled().await;
        let (stream, event) = {
            let mut script = stage.server.script();
            let statement = script.challenge();
            script.ask(&statement);
            (script.stream(), script.event(ChallengeState::Pending))
        };
        let (news, ended) = listen(account);
        let mut listening = Self { stage, news, ended, stream };
        assert!(matches!(listening.next().await, News::Listening));
        listening.stream.send(Ok(event)).unwrap();
        let News::Asked(challenge) = listening.next().await else { panic!("another news") };
        assert_eq!(challenge.id(), CHALLENGE);
        listening
    }

    async fn next(&mut self) -> News {
        soon(self.news.recv()).await.unwrap()
    }

    async fn ended(self) -> Error {
        soon(self.ended).await.unwrap()
    }
}

#[tokio::test]
async fn after_a_drain_the_stream_is_opened_again_and_nothing_is_told_twice() {
    let mut listening = Listening::to_a_challenge().await;
    let second = listening.stage.server.script().stream();
    let drain = refusal(Code::Unavailable, "SHUTTING_DOWN", "this server is shutting down");
    listening.stream.send(Err(drain)).unwrap();
    let News::Interrupted(error) = listening.next().await else { panic!("another news") };
    assert!(error.is_refused(ErrorReason::ShuttingDown), "{error}");
    assert!(matches!(listening.next().await, News::Listening));
    for state in [ChallengeState::Pending, ChallengeState::Approved, ChallengeState::Approved] {
        let event = listening.stage.server.script().event(state);
        second.send(Ok(event)).unwrap();
    }
    let News::Settled(settled) = listening.next().await else { panic!("another news") };
    let approved =
        Settled { challenge_id: CHALLENGE.into(), state: ChallengeState::Approved, denial_reason: None };
    assert_eq!(settled, approved);
    // Both were told once: what comes next is the end of this stream.
    second.send(Err(refusal(Code::Unauthenticated, "CREDENTIAL_INVALID", "revoked"))).unwrap();
    assert!(listening.ended().await.is_refused(ErrorReason::CredentialInvalid));
}

#[tokio::test]
async fn what_was_settled_between_two_streams_is_told() {
    let mut listening = Listening::to_a_challenge().await;
    listening.stage.server.script().challenges[0].state = ChallengeState::Cancelled.into();
    // Without a word, as a stream ends whose time is over.
    let (first, _) = unbounded_channel();
    drop(std::mem::replace(&mut listening.stream, first));
    assert!(matches!(listening.next().await, News::Listening));
    let News::Settled(settled) = listening.next().await else { panic!("another news") };
    assert_eq!(settled.state, ChallengeState::Cancelled);
}

#[tokio::test]
async fn a_server_that_ends_each_stream_at_once_is_asked_after_a_pause() {
    let (stage, account) = Stage::enrolled().await;
    drop(stage.server.script().stream());
    let (mut news, _ended) = listen(account);
    assert!(matches!(soon(news.recv()).await, Some(News::Listening)));
    let interrupted = soon(news.recv()).await;
    assert!(matches!(interrupted, Some(News::Interrupted(Error::Unreachable { .. }))), "{interrupted:?}");
    assert!(matches!(soon(news.recv()).await, Some(News::Listening)));
}

#[tokio::test]
async fn what_does_not_hold_ends_it() {
    let listening = Listening::to_a_challenge().await;
    let forged = {
        let mut script = listening.stage.server.script();
        let statement = script.challenge();
        let stranger = server_key(9, NOW, NOW.plus(Duration::from_hours(1)));
        script.ask_signed_by(&statement, &stranger);
        script.event(ChallengeState::Pending)
    };
    listening.stream.send(Ok(forged)).unwrap();
    let error = listening.ended().await;
    assert!(matches!(error, Error::Untrusted(_)), "{error}");
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_before_the_stream_is_opened() {
    let (stage, account) = Stage::enrolled().await;
    let stream = stage.server.script().stream();
    stage.clock.set(NOW.plus(Duration::from_hours(1)));
    let mut subscription = account.subscribe().await.unwrap();
    assert_eq!(stage.server.take_calls(), ["Subscribe", "Subscribe"]);
    stream.send(Ok(SubscribeResponse::default())).unwrap();
    let event = soon(subscription.next()).await.unwrap();
    assert!(matches!(event, Some(countersign_agent::Event::Alive)), "{event:?}");
}
