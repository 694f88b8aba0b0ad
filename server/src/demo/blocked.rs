//! 'It was not me' stops pushes, until the backend lets them through again. Too many that nobody answers do too, for
//! a while.

use countersign_proto::login::{Challenge, Wakeup};

use super::{
    columns::{Line, Style},
    error::DemoError,
    login::Players,
    plan::Plan,
};

impl Players<'_> {
    /// Plays what follows on an answer of 'it was not me' to the login of this attempt.
    pub(super) async fn play_blocked(&mut self, attempt_id: &str) -> Result<(), DemoError> {
        self.terminal.space();
        self.terminal.say(
            Style::Plain,
            "That also stops pushes: nobody can wear Anna down by asking again. The stranger tries, and wakes \
             nothing:",
        );
        self.terminal.space();
        let next = format!("{attempt_id}-again");
        let challenge = self.backend.ask(&next, Plan::Deny.source(), None).await?.challenge;
        self.terminal.columns(
            &[Line::plain("wakeup is"), Line::new(Style::Bad, challenge.wakeup().as_str_name())],
            &[Line::plain("is not woken")],
        );
        self.backend.cancel(&challenge.challenge_id).await?;
        self.terminal.wire(self.traffic);
        self.terminal.space();

        let user = self.backend.unlock().await?;
        self.terminal.columns(
            &[Line::plain("Anna has a new password: UnlockUser")],
            &[Line::new(Style::Good, "is woken again, from the next login on")],
        );
        self.terminal.wire(self.traffic);
        if challenge.wakeup() == Wakeup::Blocked && user.push_blocked_at.is_none() {
            return Ok(());
        }
        Err(DemoError::Unexpected {
            what: "the login after 'it was not me'",
            expected: "pushes blocked, and let through after UnlockUser".to_owned(),
            found: format!("{}, {:?}", challenge.wakeup().as_str_name(), user.push_blocked_at),
        })
    }
    /// Lets pushes through again if so many were left unanswered that this challenge woke nothing. True: it is
    /// withdrawn, to be asked anew.
    pub(super) async fn was_held_back(&mut self, challenge: &Challenge) -> Result<bool, DemoError> {
        if challenge.wakeup() != Wakeup::HeldBack {
            return Ok(false);
        }
        self.backend.cancel(&challenge.challenge_id).await?;
        self.backend.unlock().await?;
        self.terminal.say(
            Style::Plain,
            "Five pushes were not answered, so none goes out for 10 minutes, or until UnlockUser:",
        );
        self.terminal.wire(self.traffic);
        self.terminal.space();
        Ok(true)
    }
}
