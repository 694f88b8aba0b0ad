//! What FCM checks of a message, in the words of the reference of `projects.messages.send` and of "FCM Error
//! Codes".

use http::{Method, Request};
use serde_json::{Map, Value, json};

use super::{Answer, PROJECT_ID};

/// The most bytes of all keys and values of `data`.
const LARGEST_DATA: usize = 4096;
/// Four weeks, in seconds.
const LONGEST_TTL: u32 = 2_419_200;

/// Method and path.
pub(super) fn check_line(head: &Request<()>) -> Result<(), Answer> {
    let path = format!("/v1/projects/{PROJECT_ID}/messages:send");
    if head.uri().path() != path || head.method() != Method::POST {
        let body = b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>".to_vec();
        return Err(Answer::Reply { status: 404, headers: Vec::new(), body });
    }
    Ok(())
}

/// The body.
pub(super) fn check_message(body: &[u8]) -> Result<(), Answer> {
    let body: Value = serde_json::from_slice(body).map_err(|_| bad_field("message"))?;
    if body.get("validate_only").is_some_and(|value| !value.is_boolean()) {
        return Err(bad_field("validate_only"));
    }
    let message = body["message"].as_object().ok_or_else(|| bad_field("message"))?;
    check_names("message", message, &["token", "fid", "topic", "condition", "data", "android"])?;
    let targets: Vec<_> = ["token", "fid", "topic", "condition"]
        .into_iter()
        .filter(|name| message.contains_key(*name))
        .collect();
    let [target] = targets[..] else { return Err(bad_field("message.target")) };
    let id = message[target].as_str().unwrap_or_default();
    let fits = match target {
        "token" => id.len() > 100 && id.contains(':'),
        "fid" => id.len() == 22,
        _ => false,
    };
    if !fits {
        return Err(bad_field(&format!("message.{target}")));
    }
    check_data(message.get("data").and_then(Value::as_object))?;
    check_android(message.get("android").and_then(Value::as_object))
}

fn check_data(data: Option<&Map<String, Value>>) -> Result<(), Answer> {
    let Some(data) = data else { return Err(bad_field("message.data")) };
    let mut size = 0;
    for (key, value) in data {
        let is_reserved = ["from", "message_type", "collapse_key"].contains(&key.as_str())
            || ["google.", "gcm."].iter().any(|prefix| key.starts_with(prefix));
        let Some(value) = value.as_str().filter(|_| !is_reserved) else {
            return Err(bad_field("message.data"));
        };
        size += key.len() + value.len();
    }
    if size > LARGEST_DATA { Err(bad_field("message.data")) } else { Ok(()) }
}

fn check_android(android: Option<&Map<String, Value>>) -> Result<(), Answer> {
    let Some(android) = android else { return Err(bad_field("message.android")) };
    check_names("message.android", android, &["priority", "ttl", "collapse_key"])?;
    let text = |name| android.get(name).and_then(Value::as_str).unwrap_or_default();
    if !["NORMAL", "HIGH"].contains(&text("priority")) {
        return Err(bad_field("message.android.priority"));
    }
    let ttl = text("ttl").strip_suffix('s').and_then(|seconds| seconds.parse::<u32>().ok());
    if ttl.is_none_or(|ttl| ttl > LONGEST_TTL) {
        return Err(bad_field("message.android.ttl"));
    }
    if text("collapse_key").is_empty() { Err(bad_field("message.android.collapse_key")) } else { Ok(()) }
}

fn check_names(place: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(bad_field(&format!("{place}.{name}"))),
        None => Ok(()),
    }
}

fn bad_field(field: &str) -> Answer {
    let violations = json!([{"field": field, "description": "Invalid value"}]);
    let details =
        json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]);
    Answer::refuse_google(400, "INVALID_ARGUMENT", &format!("Invalid value at '{field}'"), &details)
}
