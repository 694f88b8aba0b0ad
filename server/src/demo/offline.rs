//! No push arrives, for the phone is off line: it shows a code, and the login page takes that instead.

use std::time::Instant;

use countersign_agent::OneTimeCode;
use countersign_proto::{
    common::ChallengeState,
    login::CodeResult,
    receipt::{self, Expected},
};

use super::{
    columns::{Line, Style},
    error::DemoError,
    login::Players,
    plan::Plan,
};

/// The backend's own id of the login.
const ATTEMPT_ID: &str = "attempt-5";

impl Players<'_> {
    /// Plays it.
    pub(super) async fn play_offline(&mut self) -> Result<(), DemoError> {
        self.terminal.heading("5. A code while the phone is off line");
        self.terminal.say(
            Style::Plain,
            "Apple takes the push, and the phone has no network. It shows a code of a secret of its own, for which \
             it needs none, and the page takes that for the same login.",
        );
        self.terminal.space();
        let asked_at = Instant::now();
        let asked = self.backend.ask(ATTEMPT_ID, Plan::Approve.source(), None).await?;
        let challenge_id = asked.challenge.challenge_id;
        self.phone.pushed(self.apple, asked_at, &challenge_id).await?;
        self.terminal.column_heads();
        let code = self.phone.code()?;
        let shown = format!("{}  for another {} s", code.reveal(), code.time_left.as_secs());
        self.terminal.columns(
            &[Line::plain("Use a code instead")],
            &[Line::plain("No network"), Line::new(Style::Strong, shown)],
        );
        self.terminal.wire(self.traffic);
        self.terminal.space();
        if !self.typed(&challenge_id, &code).await? {
            self.terminal.columns(&[Line::new(Style::Bad, "Not logged in.")], &[]);
            return Ok(());
        }
        let redeemed = self.backend.redeem(&challenge_id, ATTEMPT_ID).await?;
        let receipt = redeemed.receipt.ok_or(DemoError::Incomplete("receipt"))?;
        let verified = receipt::verify(&receipt, self.phone.server_id(), &Expected::default())?;
        self.terminal.columns(&[Line::new(Style::Good, "Logged in.")], &[]);
        self.terminal.wire(self.traffic);
        self.terminal.space();
        self.terminal.say(Style::Plain, "Its receipt says what that is worth:");
        for line in verified.to_string().lines() {
            if ["  by code", "  rests on"].iter().any(|label| line.starts_with(label)) {
                self.terminal.print(&Line::new(Style::Good, line).with_indent(15));
            }
        }
        Ok(())
    }

    /// Takes the code on the page. False: the tries are used up, or it was too late.
    async fn typed(&mut self, challenge_id: &str, code: &OneTimeCode) -> Result<bool, DemoError> {
        loop {
            let typed = if self.terminal.is_asking() {
                self.terminal.ask("login page: the code that the phone shows?").await?
            } else {
                code.reveal().to_owned()
            };
            let (result, challenge) = self.backend.verify_code(challenge_id, &typed).await?;
            let told = format!("code {}", result.as_str_name().trim_start_matches("CODE_RESULT_"));
            self.terminal.columns(&[Line::plain(told)], &[]);
            if result == CodeResult::Accepted {
                return Ok(true);
            }
            if !self.terminal.is_asking() {
                return Err(DemoError::Unexpected {
                    what: "the code of the phone",
                    expected: CodeResult::Accepted.as_str_name().to_owned(),
                    found: result.as_str_name().to_owned(),
                });
            }
            if challenge.state() != ChallengeState::Pending {
                return Ok(false);
            }
            self.terminal.say(Style::Bad, &format!("{} tries left.", challenge.code_tries_left));
        }
    }
}
