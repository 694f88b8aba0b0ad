//! Anna's phone and her tablet: the agent library as an app would use it, woken by what comes to the stand-ins for
//! push providers.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use countersign_agent::{
    Account, Agent, Answer, Denial, DeviceProfile, Enrolled, Error, Offer, OneTimeCode, Platform,
    UserVerification, VerifiedChallenge,
};
use countersign_fakes::StandIn;
use countersign_proto::{
    common::ErrorReason,
    device::device_service_server::SERVICE_NAME,
    statement::{
        PushTarget,
        push_target::{self, Target},
    },
};
use tokio::time::timeout;

use super::{
    columns::{Line, Style},
    error::DemoError,
    installation::TOPIC,
    wire::Traffic,
};

/// Device tokens that Apple might give.
const DEVICE_TOKEN: &str = "1f2e9c57d0a84b36af10c2e85d7794b3668f01d92ac54e7bb3082f6de419a075";
const OTHER_DEVICE_TOKEN: &str = "8c04b7e1f95d4a62b3d1760ce84f29a57d50e61b9a3348c2f7be01d6952ca48f";
/// A registration token that Google might give.
const REGISTRATION_TOKEN: &str = "fT7mQx2LR4yKc9_vNsW0hJ:APA91bEz5HkU8dWqYp3RxGt6LnCj0VsFoB1MiXyT4aKwPu7ZrQeNhD2\
    gJlOvSc9IfAmB5tXqLyKp8WzRuEoHd3TjVnGsCiM6bPx";
/// Far more than a push over loopback takes.
const PUSH_PATIENCE: Duration = Duration::from_secs(10);
/// Labels of what a challenge says take so much of the phone's screen; all but the longest fit.
const LABEL_CHARS: usize = 13;

/// Which of Anna's devices.
#[derive(Clone, Copy)]
pub(super) enum Model {
    /// Woken through Apple.
    Phone,
    /// So is the one that takes its place.
    NewPhone,
    /// Woken through Google.
    Tablet,
}

/// A phone without an account yet, or a tablet.
pub(super) struct NewPhone {
    model: Model,
    agent: Agent,
    traffic: Traffic,
}

/// A phone or tablet with Anna's account.
pub(super) struct Phone {
    account: Account,
    traffic: Traffic,
}

/// What the person answers.
pub(super) enum Choice {
    /// Let it in, with these digits.
    Approve(String),
    /// It was not me.
    Deny,
}

impl NewPhone {
    /// Keeps its keys in `directory`.
    pub(super) fn open(model: Model, directory: &Path, traffic: Traffic) -> Result<Self, DemoError> {
        Ok(Self { model, agent: Agent::open(directory)?, traffic })
    }

    /// Scans a QR code: what it is for, verified.
    pub(super) async fn scan(&self, link: &str) -> Result<Offer, DemoError> {
        let since = Instant::now();
        let offer = self.agent.inspect(link).await?;
        note(&self.traffic, since, "GetOffer");
        Ok(offer)
    }

    /// Accepts, with a fresh key.
    pub(super) async fn accept(&self, offer: &Offer) -> Result<Enrolled, DemoError> {
        let since = Instant::now();
        let (name, platform) = match self.model {
            Model::Phone => ("Anna's phone", Platform::Ios),
            Model::NewPhone => ("Anna's new phone", Platform::Ios),
            Model::Tablet => ("Anna's tablet", Platform::Android),
        };
        let enrolled = self.agent.accept(offer, name, platform).await?;
        note(&self.traffic, since, "Enroll");
        Ok(enrolled)
    }

    /// Tells the server where to wake it.
    pub(super) async fn tell_push_target(self, account: Account) -> Result<Phone, DemoError> {
        let target = PushTarget { target: Some(self.model.target()) };
        let since = Instant::now();
        account
            .change_profile(DeviceProfile { push_target: Some(target), ..DeviceProfile::default() })
            .await?;
        note(&self.traffic, since, "ChangeDevice");
        Ok(Phone { account, traffic: self.traffic })
    }
}

impl Model {
    /// Where it is woken.
    fn target(self) -> Target {
        let of_apple = |token: &str| {
            let (device_token, topic) = (token.to_owned(), TOPIC.to_owned());
            Target::Apns(push_target::Apns { device_token, topic, sandbox: false })
        };
        match self {
            Self::Phone => of_apple(DEVICE_TOKEN),
            Self::NewPhone => of_apple(OTHER_DEVICE_TOKEN),
            Self::Tablet => {
                Target::Fcm(push_target::Fcm { registration_token: REGISTRATION_TOKEN.to_owned() })
            }
        }
    }
}

impl Phone {
    /// Waits for the push of this challenge, which was asked for at `asked`: its provider has taken it.
    pub(super) async fn pushed(
        &self,
        provider: &StandIn,
        asked: Instant,
        challenge_id: &str,
    ) -> Result<(), DemoError> {
        let push = timeout(PUSH_PATIENCE, provider.next_request()).await.map_err(|_| DemoError::NoPush)?;
        let token: String = push.device_token.chars().take(8).collect();
        let path = push.path.replace(&push.device_token, &format!("{token}..."));
        let status = push.status.map_or_else(|| "(no answer)".to_owned(), |status| status.to_string());
        self.traffic.note(asked, format!("{} {path} {status}", push.method));
        if push.status != Some(200) {
            return Err(DemoError::Unexpected {
                what: "the push",
                expected: "200".to_owned(),
                found: status,
            });
        }
        // Where Apple's payload has it, or Google's message.
        let of_apple = push.body["countersign"]["c"].as_str();
        let named = of_apple.or(push.body["message"]["data"]["c"].as_str());
        match named.ok_or(DemoError::Incomplete("challenge's id in the push"))? {
            named if named == challenge_id => Ok(()),
            // One that should have woken nobody, for each push is waited for.
            other => Err(DemoError::Unexpected {
                what: "the push",
                expected: challenge_id.to_owned(),
                found: other.to_owned(),
            }),
        }
    }

    /// Is woken, and fetches the challenge.
    pub(super) async fn woken(
        &self,
        provider: &StandIn,
        asked: Instant,
        challenge_id: &str,
    ) -> Result<VerifiedChallenge, DemoError> {
        self.pushed(provider, asked, challenge_id).await?;
        let since = Instant::now();
        let challenge = self.account.challenge(challenge_id).await?;
        note(&self.traffic, since, "GetChallenge");
        Ok(challenge)
    }

    /// The code that it shows with no network.
    pub(super) fn code(&self) -> Result<OneTimeCode, DemoError> {
        Ok(self.account.code()?)
    }

    /// Its id on the server.
    pub(super) fn device_id(&self) -> &str {
        self.account.device_id()
    }

    /// The server that it trusts.
    pub(super) fn server_id(&self) -> &str {
        self.account.server_id()
    }

    /// Asks how its account stands, once it is revoked: the refusal.
    pub(super) async fn refused(&self) -> Result<Error, DemoError> {
        match self.account.refresh().await {
            Err(error) if error.is_refused(ErrorReason::CredentialInvalid) => Ok(error),
            Err(error) => Err(error.into()),
            Ok(_) => Err(DemoError::Unexpected {
                what: "a call of the lost phone",
                expected: "a refusal".to_owned(),
                found: "an answer".to_owned(),
            }),
        }
    }

    /// Signs the answer and sends it.
    pub(super) async fn answer(
        &self,
        challenge: &VerifiedChallenge,
        choice: &Choice,
    ) -> Result<Answer, Error> {
        let since = Instant::now();
        let answer = match choice {
            Choice::Approve(code) => self.account.approve(challenge, code, UserVerification::None).await?,
            Choice::Deny => self.account.deny(challenge, Denial::NotMe).await?,
        };
        note(&self.traffic, since, "Respond");
        Ok(answer)
    }
}

/// The agent library made this one call, and it succeeds only where the server answered OK.
fn note(traffic: &Traffic, since: Instant, method: &str) {
    traffic.note(since, format!("/{SERVICE_NAME}/{method} OK"));
}

/// The phone's screen: everything that was signed. Of a later challenge only what is not the same as in the
/// `first`.
pub(super) fn screen(challenge: &VerifiedChallenge, first: Option<&VerifiedChallenge>) -> Vec<Line> {
    let all = challenge.shown();
    let known = first.map(VerifiedChallenge::shown).unwrap_or_default();
    let new: Vec<_> = all.iter().filter(|line| !known.contains(line)).collect();
    let same = all.len() - new.len();
    let mut lines: Vec<_> = new
        .into_iter()
        .map(|line| {
            // The application's own words are quoted, so that they pass for nothing else.
            let quote = if line.is_detail { "> " } else { "" };
            let text = format!("{:LABEL_CHARS$} {quote}{}", line.label, line.value);
            Line::plain(text).with_indent(LABEL_CHARS + 1)
        })
        .collect();
    if same > 0 {
        lines.push(Line::new(Style::Faint, format!("and {same} lines as in the first login")));
    }
    lines
}
