//! A user in words.

use countersign_domain::UnixTime;
use countersign_proto::{
    common::PushState,
    login::{self, DeliveryState},
};

use crate::store::applications::Application;

/// The user and the factors.
pub(super) fn user(application: &Application, user: &login::User) {
    println!("user        {}", user.user_id);
    println!("application {} ({})", application.name, application.id);
    match (user.factors.len(), user.had_factors) {
        (0, false) => println!("factors     none, and there never was one"),
        (0, true) => println!("factors     none; those that there were are revoked"),
        (count, _) => println!("factors     {count}"),
    }
    if user.locked_at.is_some() {
        let since = time(user.locked_at.as_ref(), "?");
        println!(
            "codes       LOCKED since {since}, after too many wrong ones; `countersign user unlock` lets them through"
        );
    }
    if user.push_blocked_at.is_some() {
        let since = time(user.push_blocked_at.as_ref(), "?");
        println!(
            "pushes      BLOCKED since {since}: 'it was not me'; `countersign user unlock` lets them through"
        );
    }
    if user.push_held_back_until.is_some() {
        let until = time(user.push_held_back_until.as_ref(), "?");
        println!("pushes      HELD BACK until {until}: too many were not answered");
    }
    for factor in &user.factors {
        print_factor(factor);
    }
}

/// The challenges that wait for an answer.
pub(super) fn pending(challenges: &[login::Challenge]) {
    match challenges.len() {
        0 => println!("\npending     none"),
        count => println!("\npending     {count}"),
    }
    for challenge in challenges {
        println!("\n{}", challenge.challenge_id);
        println!("  asked     {}", time(challenge.created_at.as_ref(), "?"));
        println!("  ends      {}", time(challenge.expires_at.as_ref(), "?"));
        let wakeup = challenge.wakeup().as_str_name().trim_start_matches("WAKEUP_");
        println!("  wake-up   {wakeup}");
        for delivery in &challenge.deliveries {
            let state = delivery_in_words(delivery.state());
            println!("  device    {} ({}): {state}", delivery.device_id, delivery.device_name);
        }
    }
}

fn print_factor(factor: &login::Factor) {
    println!("\n{}", factor.factor_id);
    if !factor.name.is_empty() {
        println!("  name      {}", factor.name);
    }
    println!("  kind      {}", kind(factor));
    println!("  enrolled  {}", time(factor.created_at.as_ref(), "?"));
    println!("  last used {}", time(factor.last_used_at.as_ref(), "never"));
    if let Some(device) = &factor.device {
        println!("  last seen {} (to the hour)", time(device.last_seen_at.as_ref(), "never"));
        println!("  push      {}", push_in_words(device.push_state()));
    }
}

fn kind(factor: &login::Factor) -> String {
    let kind = factor.r#type().as_str_name().trim_start_matches("FACTOR_TYPE_");
    let Some(device) = &factor.device else { return kind.to_owned() };
    let platform = device.platform().as_str_name().trim_start_matches("PLATFORM_");
    let version = if device.app_version.is_empty() { "not told" } else { &device.app_version };
    format!("{kind}, {platform}, app version {version}")
}

fn push_in_words(state: PushState) -> &'static str {
    match state {
        PushState::Ok => "OK: its provider takes wake-ups",
        PushState::Gone => {
            "GONE: its provider says that it reaches it no more; opening the app sends a new target"
        }
        PushState::None => "NONE: it has told no push target, so nothing wakes it",
        PushState::Unspecified => "not known",
    }
}

fn delivery_in_words(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => "QUEUED: on its way to the push provider",
        DeliveryState::Accepted => "ACCEPTED: the push provider took it",
        DeliveryState::Failed => "FAILED: it will not arrive by push; the server's log says why",
        DeliveryState::Fetched => "FETCHED: the device has it",
        DeliveryState::NoTarget => "NO_TARGET: nothing wakes this device, it has to ask",
        DeliveryState::Unspecified => "not known",
    }
}

fn time(wire: Option<&pbjson_types::Timestamp>, otherwise: &str) -> String {
    wire.and_then(|wire| UnixTime::from_wire(Some(wire)).ok())
        .map_or_else(|| otherwise.to_owned(), |time| time.to_string())
}
