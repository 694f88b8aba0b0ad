//! Whether Google takes the service account.

use countersign_proto::statement::push_target::{Fcm as FcmTarget, Target};

use super::{Fcm, Push};
use crate::push::trial::{Clocks, Trial, wake_up};

impl Fcm {
    /// Has a message to a registration token that no app has checked, and not delivered (`validate_only`). That takes an
    /// access token, an API that is enabled, and an account that may send.
    pub async fn try_credentials(&self) -> Trial {
        let registration_token = format!("{}:APA91b{}", "0".repeat(22), "0".repeat(134));
        let target = FcmTarget { registration_token };
        let wake_up = wake_up(self.clock.now());
        let answered = self.push(&Push { target: &target, wake_up: &wake_up, validate_only: true }).await;
        let (fault, date) = match answered {
            Ok(answer) => (answer.fault_beside_target(), answer.date()),
            Err(outcome) => (Some(outcome), None),
        };
        let clocks = Clocks::of(self.clock.now(), date);
        Trial { target: Target::Fcm(target), place: self.send_url.to_string(), fault, clocks }
    }
}
