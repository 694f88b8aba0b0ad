//! A further factor: one that Anna has approves it first.

use std::time::Instant;

use countersign_proto::{
    common::ChallengeState,
    login::{Authorization, EnrollmentState},
    statement::Purpose,
};

use super::{
    columns::{Line, Style},
    error::DemoError,
    login::Players,
    phone::{Choice, NewPhone, Phone, screen},
    plan::Plan,
};

impl Players<'_> {
    /// Has Anna's phone approve a change of her factors. Nobody is asked: there is nothing else to see.
    pub(super) async fn step_up(&mut self, attempt_id: &str) -> Result<Authorization, DemoError> {
        let mut attempt_id = attempt_id.to_owned();
        let mut asked_at = Instant::now();
        let mut asked = self.backend.ask_to_manage(&attempt_id, Plan::Approve.source()).await?;
        if self.was_held_back(&asked.challenge).await? {
            attempt_id.push_str("-again");
            asked_at = Instant::now();
            asked = self.backend.ask_to_manage(&attempt_id, Plan::Approve.source()).await?;
        }
        let challenge_id = asked.challenge.challenge_id;
        let shown = self.phone.woken(self.apple, asked_at, &challenge_id).await?;
        let choice = Choice::Approve(asked.match_code.clone());
        let answer = self.phone.answer(&shown, &choice).await?;
        self.backend.redeem_for(Purpose::ManageFactors, &challenge_id, &attempt_id).await?;
        if answer.state != ChallengeState::Approved {
            return Err(DemoError::Unexpected {
                what: "the approval of a further factor",
                expected: "approved".to_owned(),
                found: answer.to_string(),
            });
        }
        self.terminal.column_heads();
        let page = [Line::new(Style::Strong, format!("match code {}", asked.match_code))];
        // What it is for stands first.
        let mut phone: Vec<_> = screen(&shown, None).into_iter().take(1).collect();
        phone.push(Line::plain(format!("[Approve]  with {} typed", asked.match_code)));
        self.terminal.columns(&page, &phone);
        self.terminal.wire(self.traffic);
        self.terminal.space();
        Ok(Authorization { challenge_id, attempt_id })
    }

    /// As the first phone was added, in fewer words. `name`: what it is.
    pub(super) async fn add(
        &mut self,
        device: NewPhone,
        name: &str,
        authorization: Authorization,
    ) -> Result<Phone, DemoError> {
        let (enrollment_id, link) = self.backend.start_enrollment(Some(authorization)).await?;
        let offer = device.scan(&link).await?;
        let enrolled = device.accept(&offer).await?;
        let code = enrolled.confirmation_code().ok_or(DemoError::Incomplete("confirmation code"))?.to_owned();
        let state = self.backend.confirm(&enrollment_id, &code).await?;
        if state != EnrollmentState::Completed {
            let (expected, found) = ("COMPLETED".to_owned(), state.as_str_name().to_owned());
            return Err(DemoError::Unexpected { what: "the enrolment of a further device", expected, found });
        }
        let device = device.tell_push_target(enrolled.account).await?;
        let added = format!("The {name} is added, and told the server where to push.");
        self.terminal.columns(&[Line::plain(format!("adds a {name}"))], &[Line::new(Style::Good, added)]);
        self.terminal.wire(self.traffic);
        self.terminal.space();
        Ok(device)
    }
}
