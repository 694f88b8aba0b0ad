//! The day the phone is gone: a recovery code is issued before, and replaces the phone after.

use std::time::Instant;

use countersign_proto::login::{Authorization, CodeResult};

use super::{
    columns::{Line, Style},
    error::DemoError,
    login::Players,
    phone::NewPhone,
    plan::Plan,
};

/// Of the approval to issue a recovery code.
const STEP_UP: &str = "attempt-6";
/// Of the login by it.
const ATTEMPT_ID: &str = "attempt-7";

impl Players<'_> {
    /// Issues a recovery code: what is printed on the paper.
    pub(super) async fn play_recovery_code(&mut self) -> Result<String, DemoError> {
        self.terminal.heading("6. A recovery code for the drawer");
        self.terminal.say(
            Style::Plain,
            "Once Anna has a factor, each further one needs an approval by it. The phone shows what it is asked for:",
        );
        self.terminal.space();
        let authorization = self.step_up(STEP_UP).await?;
        let code = self.backend.issue_recovery_code(authorization).await?;
        self.terminal
            .say(Style::Plain, "The page shows the code once, to be printed. Its last group is a checksum:");
        self.terminal.say(Style::Strong, &code);
        self.terminal.wire(self.traffic);
        Ok(code)
    }

    /// Replaces Anna's phone by `new_phone`, with what stands on the paper.
    pub(super) async fn play_lost_phone(
        &mut self,
        new_phone: NewPhone,
        recovery_code: &str,
    ) -> Result<(), DemoError> {
        self.terminal.heading("7. A lost phone is replaced");
        self.terminal.say(
            Style::Plain,
            "The phone is gone, with its keys. Anna types the code from the paper; that one approval lets her in, \
             and lets her add a phone. Then the lost one is revoked.",
        );
        self.terminal.space();
        if self.terminal.is_asking() {
            self.terminal.ask("login page: Enter types the code from the paper.").await?;
        }
        let asked_at = Instant::now();
        let asked = self.backend.ask(ATTEMPT_ID, Plan::Approve.source(), None).await?;
        let challenge_id = asked.challenge.challenge_id;
        self.phone.pushed(self.apple, asked_at, &challenge_id).await?;
        let (result, _) = self.backend.verify_code(&challenge_id, recovery_code).await?;
        if result != CodeResult::Accepted {
            return Err(DemoError::Unexpected {
                what: "the recovery code",
                expected: CodeResult::Accepted.as_str_name().to_owned(),
                found: result.as_str_name().to_owned(),
            });
        }
        self.backend.redeem(&challenge_id, ATTEMPT_ID).await?;
        self.terminal.column_heads();
        self.terminal.columns(
            &[Line::plain("code ACCEPTED"), Line::new(Style::Good, "Logged in.")],
            &[Line::plain("lies in a taxi")],
        );
        self.terminal.wire(self.traffic);
        self.terminal.space();

        let authorization = Authorization { challenge_id, attempt_id: ATTEMPT_ID.to_owned() };
        let new_phone = self.add(new_phone, "new phone", authorization).await?;
        self.backend.revoke(self.phone.device_id()).await?;
        let refusal = self.phone.refused().await?;
        self.terminal.columns(
            &[Line::plain("revokes the lost phone")],
            &[Line::new(Style::Bad, format!("the lost phone: {refusal}"))],
        );
        self.terminal.wire(self.traffic);
        self.phone = new_phone;
        Ok(())
    }
}
