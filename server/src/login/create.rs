//! `CreateChallenge`: a login attempt asks the user's devices.

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, Wakeup},
    code::{CodeKind, Codes},
    id::FactorId,
    operation::{AttemptTag, Create, CreateOutcome},
    policy::{Terms, Wishes},
    state::State,
};
use countersign_proto::{
    common::PushState,
    login::{self, CreateChallengeRequest, CreateChallengeResponse, create_challenge_response::Outcome},
    receipt::attempt_digest,
    statement::{ChallengeStatement, Detail, Purpose},
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{Login, release_recovery::given_back, source, view};
use crate::{
    core::{Core, user_of},
    holds,
    push::dispatch::DeviceToWake,
    refusal::Refusal,
    store::{
        applications::Application,
        devices::{DeviceRow, UserDevices, UserKey},
    },
};

/// How often a creation is begun again when its time or its devices were overtaken.
const ROUNDS: usize = 3;
/// Bytes of an attempt id.
const MAX_ATTEMPT_ID_BYTES: usize = 128;

/// A request that was found good.
struct Asked {
    application: Application,
    user: UserKey,
    attempt_id: String,
    request_sha256: [u8; 32],
    purpose: Purpose,
    details: Vec<Detail>,
    terms: Terms,
}

impl Login {
    /// Asks the user's devices, and answers before they are woken. The same attempt with the same content
    /// gets the same challenge and match code.
    pub async fn create(
        &self,
        application: &Application,
        request: CreateChallengeRequest,
    ) -> Result<CreateChallengeResponse, Refusal> {
        let asked = check(application, &request)?;
        let core = Arc::clone(&self.0);
        self.0.tasks.finish(async move { create(&core, &asked).await }).await
    }
}

fn check(application: &Application, request: &CreateChallengeRequest) -> Result<Asked, Refusal> {
    let user = user_of(application, &request.user_id)?;
    attempt_id(&request.attempt_id)?;
    let wishes = Wishes {
        lifetime: request.lifetime.as_ref().map(|lifetime| duration("lifetime", lifetime)).transpose()?,
        match_code_digits: request.match_code_digits,
        user_verification_required: request.user_verification_required,
        allowed_factors: request.allowed_factors.clone(),
    };
    Ok(Asked {
        application: application.clone(),
        user,
        attempt_id: request.attempt_id.clone(),
        request_sha256: Sha256::digest(request.encode_to_vec()).into(),
        purpose: purpose(request.purpose)?,
        details: source::details(request)?,
        terms: application.policy.terms(&wishes)?,
    })
}

async fn create(core: &Arc<Core>, asked: &Asked) -> Result<CreateChallengeResponse, Refusal> {
    let application_id = asked.application.id.to_string();
    let tag = core.keyring.attempt_tag(&application_id, &asked.user.user_id, &asked.attempt_id);
    let attempt = AttemptTag(tag.to_bytes());
    let max_pending = asked.application.policy.effective().max_pending_challenges as usize;
    for _ in 0..ROUNDS {
        // The time is taken before the devices are read, so that no old reading gets a new time.
        let now = core.clock.now();
        let mut known = core.devices.of_user(asked.user.clone()).await?;
        if let Some((code, Some(used_by))) = known.recovery
            && given_back(core, code, used_by).await?
        {
            known.recovery = Some((code, None));
        }
        let challenge = pending(core, asked, &known, now)?;
        let create = Create { attempt, challenge, max_pending, copy: known.holds };
        match core.challenges.update(create).await? {
            CreateOutcome::Created { challenge, superseded } => {
                for id in superseded {
                    core.announce_end_of(id);
                }
                core.device_waiters.wake(challenge.id.user());
                if challenge.wakeup == Wakeup::Blocked && known.holds.push_blocked_at.is_none() {
                    holds::copy_present(core, &asked.user).await;
                }
                wake(core, &challenge, known.devices);
                hear_of(core, &challenge);
                return Ok(answer(core, &challenge, &[]));
            }
            CreateOutcome::Repeated(challenge) => {
                check_own(core, asked, &challenge)?;
                core.announce(&challenge);
                // In this order: what has ended has been noted.
                let is_being_told = core.dispatcher.is_waking(&challenge.id.to_string());
                let deliveries = core.challenges.deliveries(challenge.id).await?;
                // Whoever wrote it never learned that it did, or died: nobody has woken the devices. Where two
                // servers do after all, push services show one notification (`apns-collapse-id`).
                if challenge.state.is_pending() && deliveries.is_empty() && !is_being_told {
                    wake(core, &challenge, known.devices);
                    hear_of(core, &challenge);
                }
                return Ok(answer(core, &challenge, &deliveries));
            }
            CreateOutcome::AttemptReused => return Err(Refusal::AttemptReused),
            CreateOutcome::NobodyToAsk => {
                let outcome = Outcome::NotEnrolled(login::NotEnrolled { had_factors: known.had_factors });
                return Ok(CreateChallengeResponse { outcome: Some(outcome), match_code: String::new() });
            }
            CreateOutcome::LockedOut(locked_at) => {
                if known.holds.locked_at.is_none() {
                    holds::copy_present(core, &asked.user).await;
                }
                let outcome = Outcome::LockedOut(login::LockedOut { locked_at: Some(locked_at.to_wire()) });
                return Ok(CreateChallengeResponse { outcome: Some(outcome), match_code: String::new() });
            }
            CreateOutcome::Stale => {}
        }
    }
    tracing::error!(challenge.rounds = ROUNDS, "the clock jumps: a challenge was overtaken each time");
    Err(Refusal::ServerClock)
}

/// The challenge, signed, as it will be stored if it is the first of its attempt.
fn pending(
    core: &Core,
    asked: &Asked,
    known: &UserDevices,
    now: UnixTime,
) -> Result<ChallengeRecord, Refusal> {
    let id = core.ids.challenge(core.ids.user_tag(&asked.user));
    let expires_at = now.plus(asked.terms.lifetime);
    // A device that was bound after this expires (the clock was set back) could not settle it.
    let to_ask: &[DeviceRow] = if asked.terms.factors.has_device() { &known.devices } else { &[] };
    let snapshot = to_ask.iter().filter_map(|device| {
        let bound_at = device.bound.as_ref().filter(|_| core.is_bound(device))?.at;
        (bound_at < expires_at).then(|| AskedDevice {
            id: device.id,
            name: device.name.clone(),
            tag: core.device_tag(device.id, &device.public_key),
            bound_at,
            has_push_target: device.push_state == PushState::Ok,
        })
    });
    let snapshot: Vec<_> = snapshot.collect();
    let statement = ChallengeStatement {
        server_id: core.server_keys.server_id().to_owned(),
        challenge_id: id.to_string(),
        application_id: asked.application.id.to_string(),
        user_id: asked.user.user_id.clone(),
        purpose: asked.purpose.into(),
        created_at: Some(now.to_wire()),
        expires_at: Some(expires_at.to_wire()),
        details: asked.details.clone(),
        // Without a device there is nothing to type it on.
        match_code_digits: if snapshot.is_empty() { 0 } else { asked.terms.match_code_digits },
        user_verification_required: asked.terms.user_verification_required,
        attempt_sha256: attempt_digest(&asked.attempt_id).to_vec(),
    };
    let kinds = code_kinds(core, known).into_iter().filter(|&kind| asked.terms.factors.has_code(kind));
    Ok(ChallengeRecord {
        id,
        application_id: asked.application.id,
        request_sha256: asked.request_sha256,
        created_at: now,
        expires_at,
        challenge: core.server_keys.sign(&statement, now)?.encode_to_vec(),
        asked: snapshot,
        codes: Codes { kinds: kinds.collect(), wrong: 0 },
        wakeup: Wakeup::Sending,
        state: State::Pending,
    })
}

/// The kinds of code that the user has. A device's counts as the device does.
fn code_kinds(core: &Core, known: &UserDevices) -> Vec<CodeKind> {
    let is_bound = |id| known.devices.iter().any(|device| device.id == id && core.is_bound(device));
    let counts = |id: &FactorId| match *id {
        FactorId::Device(device) => is_bound(device),
        FactorId::Totp(_) | FactorId::Recovery(_) => true,
    };
    let totp = known.totp.iter().any(counts).then_some(CodeKind::Totp);
    let recovery = matches!(known.recovery, Some((_, None))).then_some(CodeKind::Recovery);
    totp.into_iter().chain(recovery).collect()
}

/// Whether the server signed the stored challenge for this very attempt: the answer shows its match code.
fn check_own(core: &Core, asked: &Asked, challenge: &ChallengeRecord) -> Result<(), Refusal> {
    let signed: Option<ChallengeStatement> = core.server_keys.open_own(&challenge.envelope());
    let is_own = signed.is_some_and(|signed| {
        signed.challenge_id == challenge.id.to_string()
            && signed.application_id == asked.application.id.to_string()
            && signed.user_id == asked.user.user_id
            && signed.attempt_sha256 == attempt_digest(&asked.attempt_id)
    });
    if is_own {
        return Ok(());
    }
    tracing::error!(challenge.id = %challenge.id, "a stored challenge is not what its signature says");
    Err(Refusal::AttemptReused)
}

fn wake(core: &Core, challenge: &ChallengeRecord, devices: Vec<DeviceRow>) {
    match challenge.wakeup {
        Wakeup::Sending => {}
        Wakeup::NoDevice => return,
        Wakeup::HeldBack { until } => {
            tracing::info!(challenge.id = %challenge.id, %until, "too many wake-ups were not answered: none goes out");
            return;
        }
        Wakeup::Blocked => {
            tracing::info!(challenge.id = %challenge.id, "the person said 'it was not me': no wake-up goes out");
            return;
        }
    }
    let asked = |device: &DeviceRow| challenge.asked.iter().any(|asked| asked.id == device.id);
    let targets = devices.into_iter().filter(asked).filter_map(|device| {
        let target = device.push_target.filter(|_| device.push_state == PushState::Ok)?.target?;
        Some(DeviceToWake { device_id: device.id.to_string(), target })
    });
    core.dispatcher.wake(&challenge.id.to_string(), challenge.expires_at, targets.collect());
}

/// Should another server settle it, this one stops its pushes. Only informs; the store has logged why, if not.
fn hear_of(core: &Arc<Core>, challenge: &ChallengeRecord) {
    let user = challenge.id.user();
    if challenge.asked.iter().any(|device| device.has_push_target)
        && let Some(wakeups) = core.wakeups.clone()
    {
        core.tasks.start(async move {
            let _ = wakeups.watch(user).await;
        });
    }
}

fn answer(
    core: &Core,
    challenge: &ChallengeRecord,
    deliveries: &[(countersign_domain::id::DeviceId, login::DeliveryState)],
) -> CreateChallengeResponse {
    let digits = challenge.statement().map_or(0, |statement| statement.match_code_digits);
    let match_code = match digits {
        0 => String::new(),
        digits => core.keyring.match_code(&challenge.id.to_string(), digits as usize).reveal().to_owned(),
    };
    let challenge = view::challenge(challenge, deliveries, core.clock.now());
    CreateChallengeResponse { outcome: Some(Outcome::Challenge(challenge)), match_code }
}

/// Whether `attempt_id` is one: 1 to 128 bytes.
pub(super) fn attempt_id(attempt_id: &str) -> Result<(), Refusal> {
    if (1..=MAX_ATTEMPT_ID_BYTES).contains(&attempt_id.len()) {
        Ok(())
    } else {
        Err(Refusal::field("attempt_id", format!("must have 1 to {MAX_ATTEMPT_ID_BYTES} bytes")))
    }
}

/// What is asked for; unset: to log in.
pub(super) fn purpose(purpose: i32) -> Result<Purpose, Refusal> {
    match Purpose::try_from(purpose) {
        Ok(Purpose::Unspecified) => Ok(Purpose::Login),
        Ok(purpose) => Ok(purpose),
        Err(_) => Err(Refusal::field("purpose", "must be LOGIN, MANAGE_FACTORS or ACTION, or unset")),
    }
}

/// A duration of the wire, not negative.
pub(crate) fn duration(
    field: &'static str,
    wire: &pbjson_types::Duration,
) -> Result<std::time::Duration, Refusal> {
    let is_normal = wire.seconds >= 0 && (0..1_000_000_000).contains(&wire.nanos);
    let seconds = u64::try_from(wire.seconds).ok().filter(|_| is_normal);
    let nanos = u32::try_from(wire.nanos).ok();
    seconds
        .zip(nanos)
        .map(|(seconds, nanos)| std::time::Duration::new(seconds, nanos))
        .ok_or_else(|| Refusal::field(field, "must be a duration of zero or more"))
}
