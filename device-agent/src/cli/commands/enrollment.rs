//! Becoming a device of an account, and leaving it.

use countersign_agent::{Enrolled, Offer, Platform, PushTarget};

use super::{
    super::{Failure, Outcome, json, output, push_target, terminal},
    Session,
};

impl Session {
    pub(super) async fn enroll(
        &self,
        link: &str,
        name: &str,
        yes: bool,
        push_target: Option<PushTarget>,
    ) -> Result<Outcome, Failure> {
        if self.json && !yes {
            return Err(Failure::Usage("--json asks nothing: give --yes as well to accept the offer"));
        }
        let offer = self.agent.inspect(link).await?;
        if !self.json {
            output::lines(&offer_lines(&offer));
        }
        if !yes && !terminal::agrees("Add this account? [y/N] ")? {
            output::line("Nothing was sent. The link can still be used.");
            return Ok(Outcome::Declined);
        }
        let enrolled = self.agent.accept(&offer, name, Platform::Desktop).await?;
        if !self.json {
            // At once: the person may have little time to type the code.
            show_enrolled(&enrolled);
        }
        // It is enrolled, whatever becomes of this.
        let woken = match push_target {
            Some(target) => Some(enrolled.account.change_profile(push_target::profile(target)).await),
            None => None,
        };
        if self.json {
            output::json(&json::enrolled(&enrolled, woken.as_ref())?);
        }
        woken.transpose()?;
        Ok(Outcome::Done)
    }

    pub(super) async fn unenroll(&self, yes: bool) -> Result<Outcome, Failure> {
        if self.json && !yes {
            return Err(Failure::Usage("--json asks nothing: give --yes as well to take the device away"));
        }
        let account = self.only()?;
        if !self.json {
            output::lines(&[
                ("Account", format!("{} ({})", account.account_name(), account.application_name())),
                ("Device", format!("{} ({})", account.device_name()?, account.device_id())),
            ]);
            output::line(
                "This device will answer no more challenges of this account, and its keys here are removed for good. \
                 Without another device or code you may be locked out.",
            );
        }
        if !yes && !terminal::agrees("Take this device away? [y/N] ")? {
            output::line("Nothing was sent. The device stays.");
            return Ok(Outcome::Declined);
        }
        account.unenroll().await?;
        if self.json {
            output::json(&serde_json::json!({ "unenrolled": account.device_id() }));
        } else {
            output::line(&format!("{} is no device of this account any more.", account.device_id()));
        }
        Ok(Outcome::Done)
    }
}

fn offer_lines(offer: &Offer) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("Application", offer.application_name().to_owned()),
        ("Account", offer.account_name().to_owned()),
        ("Server", format!("{} ({})", offer.server(), offer.server_id())),
        ("Link ends in", format!("{} s", offer.time_left().as_secs())),
    ];
    if offer.user_verification_required() {
        lines.push((
            "Note",
            "it asks for a PIN or biometric, which this agent has not: it can only deny".to_owned(),
        ));
    }
    lines
}

fn show_enrolled(enrolled: &Enrolled) {
    output::line(&format!("Enrolled as {}.", enrolled.account.device_id()));
    match enrolled.confirmation_code() {
        Some(code) => output::line(&format!(
            "Confirmation code: {code}\nType it on the page that shows the QR code. Until then this device \
             can approve nothing."
        )),
        None => output::line("No confirmation is needed: this device can approve at once."),
    }
}
