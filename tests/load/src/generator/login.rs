//! One login, from `CreateChallenge` to `RedeemChallenge`.

use std::time::Duration;

use countersign_proto::common::ChallengeState;
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, timeout},
};

use super::{Device, backend::Backend};
use crate::Failure;

/// Far more than a push over loopback takes.
const PUSH_PATIENCE: Duration = Duration::from_secs(20);

/// Somebody with a device.
pub struct User {
    pub(super) id: String,
    pub(super) device: Device,
    /// Where the ids of the challenges arrive that the device is woken for. Held by the login that is under way:
    /// a second one would take the first one's place on the server.
    pub(super) woken: Mutex<mpsc::UnboundedReceiver<String>>,
    /// The other end of it.
    pub(super) wake: mpsc::UnboundedSender<String>,
}

impl User {
    pub(super) fn new(id: String, device: Device) -> Self {
        let (wake, woken) = mpsc::unbounded_channel();
        Self { id, device, woken: Mutex::new(woken), wake }
    }

    /// Logs in. The login page waits from the moment that it has asked; the device fetches, signs and answers
    /// once it is woken. Returns how long it took from the answer to `CreateChallenge` until the page knew.
    pub(super) async fn log_in(&self, backend: &Backend, attempt_id: &str) -> Result<Duration, Failure> {
        let mut woken = self.woken.lock().await;
        let asked = backend.create(&self.id, attempt_id).await?;
        let asked_at = Instant::now();
        let page = async {
            let state = backend.settled(&asked.challenge_id).await?;
            Ok::<_, Failure>((state, asked_at.elapsed()))
        };
        let device = async {
            timeout(PUSH_PATIENCE, woken_for(&mut woken, &asked.challenge_id))
                .await
                .map_err(|_| "no push")?;
            let challenge = self.device.challenge(&asked.challenge_id).await?;
            self.device.approve(&asked.challenge_id, &challenge, &asked.match_code).await
        };
        let ((state, decided), ()) = tokio::try_join!(page, device)?;
        if state != ChallengeState::Approved {
            return Err(format!("it ended as {}", state.as_str_name()).into());
        }
        let approved_by = backend.redeem(&asked.challenge_id, &self.id, attempt_id).await?;
        if approved_by == self.device.id { Ok(decided) } else { Err("another device approved".into()) }
    }

    /// Logs in by a code of the device, which is not woken. Returns how long it took from the answer to
    /// `CreateChallenge` until the page knew.
    pub(super) async fn log_in_by_code(
        &self,
        backend: &Backend,
        attempt_id: &str,
    ) -> Result<Duration, Failure> {
        let _one_at_a_time = self.woken.lock().await;
        let challenge_id = backend.create_for_code(&self.id, attempt_id).await?;
        let asked_at = Instant::now();
        backend.verify_code(&challenge_id, self.device.codes.next()?).await?;
        let decided = asked_at.elapsed();
        let approved_by = backend.redeem(&challenge_id, &self.id, attempt_id).await?;
        if approved_by == self.device.id { Ok(decided) } else { Err("another factor approved".into()) }
    }
}

/// Waits until the device is woken for this challenge; what it is woken for besides is over.
async fn woken_for(woken: &mut mpsc::UnboundedReceiver<String>, challenge_id: &str) {
    while woken.recv().await.is_some_and(|id| id != challenge_id) {}
}
