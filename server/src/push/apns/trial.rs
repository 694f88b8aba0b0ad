//! Whether Apple takes the credentials, in both environments and for each topic.

use countersign_proto::statement::push_target::{Apns as ApnsTarget, Target};

use super::{Apns, Environment, Push};
use crate::push::trial::{Clocks, Trial, wake_up};

impl Apns {
    /// Pushes to a device token that no device has, in each environment under each topic, with the provider token that
    /// the servers share. Where there is no answer the other topics are not asked: it would be the same for them.
    pub async fn try_credentials(&self) -> Vec<Trial> {
        let (mut trials, sandbox) = tokio::join!(
            self.try_environment(&self.production, false),
            self.try_environment(&self.sandbox, true)
        );
        trials.extend(sandbox);
        trials
    }

    async fn try_environment(&self, environment: &Environment, sandbox: bool) -> Vec<Trial> {
        let server = environment.base_url.origin().ascii_serialization();
        let mut trials = Vec::new();
        for topic in &self.topics {
            let target = ApnsTarget { device_token: "0".repeat(64), topic: topic.clone(), sandbox };
            let answered = self.push(&Push { target: &target, wake_up: &wake_up(self.clock.now()) }).await;
            let target = Target::Apns(target);
            match answered {
                Ok(answer) => trials.push(Trial {
                    target,
                    place: format!("{server}, topic {topic}"),
                    fault: answer.fault_beside_device_token(),
                    clocks: Clocks::of(self.clock.now(), answer.date()),
                }),
                Err(failure) => {
                    let fault = Some(failure.into());
                    trials.push(Trial { target, place: server, fault, clocks: None });
                    break;
                }
            }
        }
        trials
    }
}
