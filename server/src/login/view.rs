//! A challenge as its application sees it.

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, Wakeup},
    id::DeviceId,
    state::{Settled, SettledBy, State},
};
use countersign_proto::{
    common::FactorType,
    login::{self, DeliveryState},
};

/// The wire's form of a challenge, with how far its wake-ups came.
pub(super) fn challenge(
    challenge: &ChallengeRecord,
    deliveries: &[(DeviceId, DeliveryState)],
    now: UnixTime,
) -> login::Challenge {
    let redeemed_at = match &challenge.state {
        State::Approved { redeemed_at, .. } => *redeemed_at,
        _ => None,
    };
    login::Challenge {
        challenge_id: challenge.id.to_string(),
        user_id: challenge.statement().map(|statement| statement.user_id).unwrap_or_default(),
        state: challenge.state.to_wire().into(),
        denial_reason: challenge.state.denial_to_wire().into(),
        created_at: Some(challenge.created_at.to_wire()),
        expires_at: Some(challenge.expires_at.to_wire()),
        time_left: challenge.state.is_pending().then(|| challenge.expires_at.since(now).into()),
        code_factors: challenge.codes.kinds.iter().map(|kind| kind.to_wire().into()).collect(),
        code_tries_left: challenge.codes.tries_left(),
        wakeup: wakeup(challenge.wakeup).into(),
        wakeup_retry_after: match challenge.wakeup {
            Wakeup::HeldBack { until } => Some(until.since(now).into()),
            Wakeup::Sending | Wakeup::NoDevice | Wakeup::Blocked => None,
        },
        deliveries: challenge
            .asked
            .iter()
            .map(|device| delivery(device, challenge.wakeup, deliveries))
            .collect(),
        settlement: challenge.state.settled().map(|settled| settlement(challenge, settled)),
        redeem_before: challenge.redeem_before().map(UnixTime::to_wire),
        redeemed_at: redeemed_at.map(UnixTime::to_wire),
    }
}

/// The wire's form of what settled a challenge.
fn settlement(challenge: &ChallengeRecord, settled: &Settled) -> login::Settlement {
    let (factor_type, factor_id, device) = match &settled.by {
        SettledBy::Device { id, .. } => (FactorType::Device, id.to_string(), Some(*id)),
        SettledBy::Code(factor) => (factor.kind().to_wire(), factor.id.to_string(), factor.device()),
        SettledBy::Server => (FactorType::Unspecified, String::new(), None),
    };
    let device = challenge.asked.iter().find(|asked| Some(asked.id) == device);
    login::Settlement {
        factor_type: factor_type.into(),
        factor_id,
        factor_name: device.map(|device| device.name.clone()).unwrap_or_default(),
        settled_at: Some(settled.settled_at.to_wire()),
    }
}

fn wakeup(wakeup: Wakeup) -> login::Wakeup {
    match wakeup {
        Wakeup::Sending => login::Wakeup::Sending,
        Wakeup::NoDevice => login::Wakeup::NoDevice,
        Wakeup::HeldBack { .. } => login::Wakeup::HeldBack,
        Wakeup::Blocked => login::Wakeup::Blocked,
    }
}

fn delivery(
    device: &AskedDevice,
    wakeup: Wakeup,
    deliveries: &[(DeviceId, DeliveryState)],
) -> login::Delivery {
    let noted = deliveries.iter().find(|(id, _)| *id == device.id).map(|&(_, state)| state);
    let at_first = match (device.has_push_target, wakeup) {
        (false, _) => DeliveryState::NoTarget,
        (true, Wakeup::Sending | Wakeup::NoDevice) => DeliveryState::Queued,
        // Nothing is on its way.
        (true, Wakeup::HeldBack { .. } | Wakeup::Blocked) => DeliveryState::Failed,
    };
    login::Delivery {
        device_id: device.id.to_string(),
        device_name: device.name.clone(),
        state: noted.unwrap_or(at_first).into(),
    }
}
