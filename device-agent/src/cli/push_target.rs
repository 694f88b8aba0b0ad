//! Where a device is woken, as the command line's options say it.

use countersign_agent::{
    DeviceProfile, PushTarget,
    push_target::{Apns, Fcm, Target},
};
use countersign_proto::statement_form;

use super::{Failure, arguments::PushTargetOptions};

impl PushTargetOptions {
    /// None: none was named.
    pub(crate) fn target(self) -> Result<Option<PushTarget>, Failure> {
        let target = match (self.apns_token, self.apns_topic, self.fcm_token) {
            (Some(device_token), Some(topic), None) => {
                Target::Apns(Apns { device_token, topic, sandbox: self.apns_sandbox })
            }
            (None, None, Some(registration_token)) => Target::Fcm(Fcm { registration_token }),
            _ => return Ok(None),
        };
        let target = PushTarget { target: Some(target) };
        // A form that the server would refuse is told before a link is used.
        statement_form::push_target(&target)
            .map_err(|fault| Failure::Option { option: option(fault.field), problem: fault.problem })?;
        Ok(Some(target))
    }

    /// One must be named, or that there is none.
    pub(crate) fn target_or(self, none: bool) -> Result<PushTarget, Failure> {
        match (self.target()?, none) {
            (Some(target), _) => Ok(target),
            (None, true) => Ok(PushTarget { target: None }),
            (None, false) => Err(Failure::Usage(
                "name a push target: --apns-token with --apns-topic, or --fcm-token; or --none",
            )),
        }
    }
}

/// A change of nothing but the push target.
pub(crate) fn profile(target: PushTarget) -> DeviceProfile {
    DeviceProfile { push_target: Some(target), ..DeviceProfile::default() }
}

/// What a device has that was told `target`.
pub(crate) fn in_words(target: &PushTarget) -> &'static str {
    match target.target {
        Some(Target::Apns(_)) => "is woken through Apple",
        Some(Target::Fcm(_)) => "is woken through Google",
        None => "is woken nowhere: it streams or pulls",
    }
}

fn option(field: &str) -> &'static str {
    match field.rsplit('.').next() {
        Some("device_token") => "apns-token",
        Some("topic") => "apns-topic",
        _ => "fcm-token",
    }
}
