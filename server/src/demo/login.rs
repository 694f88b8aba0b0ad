//! One login, from the question to the session that is opened or not.

use std::time::{Duration, Instant};

use countersign_agent::{Answer, VerifiedChallenge};
use countersign_fakes::StandIn;
use countersign_proto::{
    common::{ChallengeState, DenialReason},
    login::Challenge,
    statement::Receipt,
};
use tokio::task::JoinHandle;

use super::{
    backend::{Asked, Backend},
    columns::{Line, Style},
    error::DemoError,
    phone::{Choice, Phone, screen},
    plan::Plan,
    terminal::Terminal,
    wire::Traffic,
};
use crate::clock::{Clock as _, SystemClock};

/// Everybody who takes part.
pub(super) struct Players<'a> {
    pub(super) terminal: &'a mut Terminal,
    pub(super) backend: &'a mut Backend,
    pub(super) phone: Phone,
    pub(super) apple: &'a StandIn,
    pub(super) traffic: &'a Traffic,
}

/// What a login came to.
pub(super) struct Played {
    pub(super) shown: VerifiedChallenge,
    /// The login was let in, with this proof.
    pub(super) receipt: Option<Receipt>,
}

/// A refusal's words stand below the call that was refused.
const REFUSAL_INDENT: usize = 10;

type Waiting = JoinHandle<Result<Challenge, DemoError>>;

impl Players<'_> {
    /// Plays one login. `first` is the challenge whose lines need not be shown again.
    pub(super) async fn play(
        &mut self,
        plan: Plan,
        first: Option<&VerifiedChallenge>,
    ) -> Result<Played, DemoError> {
        self.terminal.heading(plan.title());
        self.terminal.say(Style::Plain, plan.hint());
        self.terminal.space();
        let asked_at = Instant::now();
        let asked = self.backend.ask(plan.attempt_id(), plan.source(), plan.lifetime()).await?;
        let challenge_id = asked.challenge.challenge_id.clone();
        let waiting = tokio::spawn(self.backend.clone().wait(challenge_id.clone()));
        let shown = self.phone.woken(self.apple, asked_at, &challenge_id).await?;
        self.terminal.column_heads();
        self.terminal.columns(&page(&asked), &screen(&shown, first));
        self.terminal.wire(self.traffic);
        self.terminal.space();

        let answer = if let Some(planned) = plan.choice(&asked.match_code) {
            Some(self.answered(&planned, &shown).await?)
        } else {
            self.watch(&waiting, &shown).await;
            None
        };
        let (settled, receipt) = self.end(waiting, &challenge_id, plan.attempt_id(), answer).await?;
        if !self.terminal.is_asking() {
            check(plan, &settled, receipt.is_some())?;
        }
        if settled.denial_reason() == DenialReason::NotMe {
            self.play_blocked(plan.attempt_id()).await?;
        }
        Ok(Played { shown, receipt })
    }

    /// Plays one login that is answered from a second terminal, by `agent` (a command and its first options).
    pub(super) async fn play_elsewhere(&mut self, attempt_id: &str, agent: &str) -> Result<(), DemoError> {
        let asked_at = Instant::now();
        let asked = self.backend.ask(attempt_id, Plan::Approve.source(), None).await?;
        if self.was_held_back(&asked.challenge).await? {
            return Ok(());
        }
        let challenge_id = asked.challenge.challenge_id.clone();
        let waiting = tokio::spawn(self.backend.clone().wait(challenge_id.clone()));
        self.phone.woken(self.apple, asked_at, &challenge_id).await?;
        self.terminal.column_heads();
        self.terminal.columns(&page(&asked), &[Line::plain("was woken; within two minutes, one of:")]);
        self.terminal.wire(self.traffic);
        for command in [
            "pending".to_owned(),
            format!("approve {challenge_id} --match-code {}", asked.match_code),
            format!("deny {challenge_id} --reason not-me"),
        ] {
            self.terminal.space();
            self.terminal.command(&format!("{agent} {command}"));
        }
        self.terminal.space();
        let (settled, _) = self.end(waiting, &challenge_id, attempt_id, None).await?;
        if settled.denial_reason() == DenialReason::NotMe {
            self.play_blocked(attempt_id).await?;
        }
        self.terminal.space();
        Ok(())
    }

    /// What it came to, on page and phone.
    async fn end(
        &mut self,
        waiting: Waiting,
        challenge_id: &str,
        attempt_id: &str,
        answer: Option<Answer>,
    ) -> Result<(Challenge, Option<Receipt>), DemoError> {
        let settled = waiting.await.expect("the wait does not panic")?;
        let redeemed = self.backend.redeem(challenge_id, attempt_id).await;
        let page = match &redeemed {
            Ok(_) => Line::new(Style::Good, "Logged in."),
            Err(_) => Line::new(Style::Bad, "Not logged in."),
        };
        let told = outcome_in_words(settled.state(), settled.denial_reason());
        let told = Line::plain(format!("is told: {told}."));
        self.terminal.columns(&[told, page], &[answer_in_words(answer)]);
        self.terminal.wire(self.traffic);
        if let Err(status) = &redeemed {
            let refusal = format!("{:REFUSAL_INDENT$}{}", "", status.message());
            self.terminal.print(&Line::new(Style::Bad, refusal).with_indent(REFUSAL_INDENT));
        }
        Ok((settled, redeemed.ok().and_then(|redeemed| redeemed.receipt)))
    }

    /// Has the phone answer, as the person says or as planned.
    async fn answered(&mut self, planned: &Choice, shown: &VerifiedChallenge) -> Result<Answer, DemoError> {
        loop {
            let typed = if self.terminal.is_asking() { Some(ask(self.terminal).await?) } else { None };
            let choice = typed.as_ref().unwrap_or(planned);
            match self.phone.answer(shown, choice).await {
                // Nothing was sent, and no try used.
                Err(error @ countersign_agent::Error::MatchCode { .. }) if self.terminal.is_asking() => {
                    self.terminal.say(Style::Bad, &format!("phone: {error}"));
                }
                Err(error) => return Err(error.into()),
                Ok(answer) => {
                    if !self.terminal.is_asking() {
                        self.terminal.columns(&[], &[acted(choice)]);
                    }
                    return Ok(answer);
                }
            }
        }
    }

    /// Counts down to the end of a login that nobody answers.
    async fn watch(&self, waiting: &Waiting, shown: &VerifiedChallenge) {
        self.terminal.columns(&[Line::plain("waits ...")], &[Line::plain("nobody answers")]);
        while !waiting.is_finished() {
            let now = SystemClock.now();
            let left = shown.expires_at().since(now).as_millis().div_ceil(1000);
            self.terminal.replace_line(&format!("{left} s left"));
            SystemClock.sleep_until(now.plus(Duration::from_millis(100))).await;
        }
        self.terminal.replace_line("");
    }
}

fn page(asked: &Asked) -> [Line; 3] {
    [
        Line::plain("Type this on your phone:"),
        Line::plain(""),
        Line::new(Style::Strong, format!("match code {}", asked.match_code)),
    ]
}

async fn ask(terminal: &mut Terminal) -> Result<Choice, DemoError> {
    loop {
        let answer = terminal.ask("phone: approve or deny? [a/d]").await?.to_lowercase();
        match answer.as_str() {
            "a" | "approve" => {
                let code = terminal.ask("phone: the digits that the login page shows?").await?;
                return Ok(Choice::Approve(code));
            }
            "d" | "deny" => return Ok(Choice::Deny),
            _ => terminal.say(Style::Bad, "There is no default: type a or d."),
        }
    }
}

fn acted(choice: &Choice) -> Line {
    match choice {
        Choice::Approve(code) => Line::plain(format!("[Approve]  with {code} typed")),
        Choice::Deny => Line::plain("[Deny]  it was not me"),
    }
}

fn outcome_in_words(state: ChallengeState, reason: DenialReason) -> &'static str {
    match (state, reason) {
        (ChallengeState::Denied, DenialReason::WrongMatchCode) => "denied, wrong match code",
        (ChallengeState::Denied, _) => "denied",
        (ChallengeState::Approved, _) => "approved",
        (ChallengeState::Expired, _) => "expired",
        (other, _) => other.as_str_name(),
    }
}

fn answer_in_words(answer: Option<Answer>) -> Line {
    match answer {
        None => Line::plain(""),
        Some(answer) if answer.accepted => Line::new(Style::Good, format!("is told: {answer}.")),
        // What it said counted, only not as the approval that it was meant to be.
        Some(Answer { state, denial_reason: Some(DenialReason::WrongMatchCode), .. }) => {
            let answer = Answer { accepted: true, state, denial_reason: Some(DenialReason::WrongMatchCode) };
            Line::new(Style::Bad, format!("is told: {answer}."))
        }
        Some(answer) => Line::new(Style::Bad, format!("is told: {answer}.")),
    }
}

/// Without a person nothing but the plan may happen.
fn check(plan: Plan, settled: &Challenge, is_in: bool) -> Result<(), DemoError> {
    let found = (settled.state(), settled.denial_reason());
    let may_enter = plan == Plan::Approve;
    if found == plan.end() && is_in == may_enter {
        return Ok(());
    }
    let words = |(state, reason), is_in: bool| {
        format!("{} and {}", outcome_in_words(state, reason), if is_in { "let in" } else { "kept out" })
    };
    Err(DemoError::Unexpected {
        what: plan.title(),
        expected: words(plan.end(), may_enter),
        found: words(found, is_in),
    })
}
