//! A login on two devices: each is woken through its own provider, and the first answer wins.

use std::time::Instant;

use countersign_agent::Answer;
use countersign_fakes::StandIn;
use countersign_proto::{
    common::{ChallengeState, DenialReason},
    login::Challenge,
};

use super::{
    columns::{Line, Style},
    error::DemoError,
    login::Players,
    phone::{Choice, NewPhone, screen},
    plan::Plan,
};

/// The backend's own id of the login.
const ATTEMPT_ID: &str = "attempt-9";
/// Of the approval to add the tablet.
const STEP_UP: &str = "attempt-8";

impl Players<'_> {
    /// Enrols `tablet`, which `google` wakes, and plays a login that it answers before the phone does.
    pub(super) async fn play_on_two(&mut self, tablet: NewPhone, google: &StandIn) -> Result<(), DemoError> {
        self.terminal.heading("8. A login on two devices");
        self.terminal.say(
            Style::Plain,
            "Anna adds a tablet, which Google wakes; her phone approves that. Both devices show her next login; the \
             tablet approves it, and the phone, which denies it then, is too late: the first answer wins.",
        );
        self.terminal.space();
        let authorization = self.step_up(STEP_UP).await?;
        let tablet = self.add(tablet, "tablet", authorization).await?;

        let asked_at = Instant::now();
        let asked = self.backend.ask(ATTEMPT_ID, Plan::Approve.source(), None).await?;
        let challenge_id = asked.challenge.challenge_id;
        let waiting = tokio::spawn(self.backend.clone().wait(challenge_id.clone()));
        let on_phone = self.phone.woken(self.apple, asked_at, &challenge_id).await?;
        let on_tablet = tablet.woken(google, asked_at, &challenge_id).await?;
        self.terminal.column_heads();
        let page = [Line::new(Style::Strong, format!("match code {}", asked.match_code))];
        let mut shown = vec![Line::plain("phone and tablet show the same challenge:")];
        shown.extend(screen(&on_tablet, Some(&on_phone)).into_iter().take(1));
        self.terminal.columns(&page, &shown);
        self.terminal.wire(self.traffic);
        self.terminal.space();

        let first = tablet.answer(&on_tablet, &Choice::Approve(asked.match_code.clone())).await?;
        let second = self.phone.answer(&on_phone, &Choice::Deny).await?;
        let settled = waiting.await.expect("the wait does not panic")?;
        let is_in = self.backend.redeem(&challenge_id, ATTEMPT_ID).await.is_ok();
        let told = [
            Line::plain(format!("tablet  [Approve]  with {} typed", asked.match_code)),
            Line::new(Style::Good, format!("        is told: {first}.")),
            Line::plain("phone   [Deny]  it was not me"),
            Line::new(Style::Bad, format!("        is told: {second}.")),
        ];
        let page = [Line::plain("is told: approved."), Line::new(Style::Good, "Logged in.")];
        self.terminal.columns(if is_in { &page } else { &[] }, &told);
        self.terminal.wire(self.traffic);
        check(&settled, &first, &second, is_in)
    }
}

fn check(settled: &Challenge, first: &Answer, second: &Answer, is_in: bool) -> Result<(), DemoError> {
    let is_approved =
        (settled.state(), settled.denial_reason()) == (ChallengeState::Approved, DenialReason::Unspecified);
    if is_approved && first.accepted && !second.accepted && is_in {
        return Ok(());
    }
    let expected = "approved by the first answer, logged in".to_owned();
    let found = format!("{settled:?}, {first:?}, {second:?}");
    Err(DemoError::Unexpected { what: "the login on two devices", expected, found })
}
