//! The recovery code: issued, and shown once.

use std::sync::Arc;

use countersign_domain::{UnixTime, recovery_code::RecoveryCode};
use countersign_proto::login::{Authorization, IssueRecoveryCodeResponse};
use zeroize::Zeroizing;

use super::Users;
use crate::{
    authorization,
    codes::recovery_tag,
    core::user_of,
    random,
    refusal::Refusal,
    store::{applications::Application, codes::NewRecovery},
};

impl Users {
    /// A fresh recovery code, shown once; the one before counts no more. A user who has had factors needs an
    /// approval.
    pub async fn issue_recovery_code(
        &self,
        application: &Application,
        user_id: &str,
        approval: Option<Authorization>,
    ) -> Result<IssueRecoveryCodeResponse, Refusal> {
        let user = user_of(application, user_id)?;
        let core = &self.0;
        let approval = authorization::verified(core, application, &user, approval).await?;
        let (authorization, approved_by) = approval.unzip();
        let fresh = RecoveryCode::from_random(&Zeroizing::new(random::bytes(core.random.as_ref())));
        let id = core.ids.recovery(core.ids.user_tag(&user));
        let tag = recovery_tag(&core.keyring, &user, id, &fresh).to_bytes();
        let devices = core.devices.of_user(user.clone()).await?.devices;
        let named = devices.iter().map(|device| &device.account_name).find(|name| !name.is_empty());
        let account = named.unwrap_or(&user.user_id).clone();
        let new = NewRecovery { id, user, tag, authorization, approved_by };
        let shared = Arc::clone(core);
        let issued = core.tasks.finish(async move { shared.codes.issue_recovery(new).await });
        if !issued.await? {
            return Err(authorization::missing_or_used(authorization));
        }
        let recovery_code = fresh.reveal_in_groups();
        let text = sheet(&application.name, &account, core.clock.now(), &recovery_code);
        Ok(IssueRecoveryCodeResponse { recovery_code, text })
    }
}

/// What a person prints or writes down. Lines of four groups, which are easy to keep one's place in.
fn sheet(application: &str, account: &str, now: UnixTime, code: &str) -> String {
    let groups: Vec<&str> = code.split('-').collect();
    let lines: Vec<String> = groups.chunks(4).map(|line| format!("    {}", line.join(" "))).collect();
    let day: String = now.to_string().chars().take("2026-11-26".len()).collect();
    format!(
        "Recovery code for {application}\n\
         \n\
         Account: {account}\n\
         Date:    {day}\n\
         \n\
         {}\n\
         \n\
         Whoever has this code and your password can log in as you. Print it or write it down, keep it where you\n\
         keep your passport, and delete this file.\n\
         \n\
         When you have no device at hand: log in to {application}, choose to use a code instead, and type it.\n\
         Capital or small letters, spaces and hyphens do not matter. It can be used once; ask for a new one\n\
         then. A newer code replaces this one.\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_says_whose_code_it_is_since_when_and_what_to_do_with_it() {
        let code = RecoveryCode::from_random(&[0; 60]).reveal_in_groups();
        let sheet = sheet("Shop", "anna@example.org", UnixTime::from_millis(1_795_000_000_000), &code);
        for part in ["Shop", "anna@example.org", "2026-11-18", "    0000 0000 0000 0000\n", "used once"] {
            assert!(sheet.contains(part), "{part}: {sheet}");
        }
        assert!(sheet.lines().all(|line| line.chars().count() <= 110), "{sheet}");
    }
}
