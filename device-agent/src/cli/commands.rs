//! One function for each command.

use std::{env, fs, path::PathBuf};

use countersign_agent::{
    Account, AccountStatus, Agent, Answer, ChallengeState, DeviceProfile, Error, Offer, Platform, StateFault,
    UserVerification, VerifiedChallenge,
};

use super::{Arguments, Failure, Outcome, arguments::Command, json, listen, output, terminal};

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let directory = match arguments.state_dir {
        Some(directory) => directory,
        None => default_directory().ok_or(Error::State(StateFault::NoDirectory))?,
    };
    let mut agent = Agent::open(directory)?;
    if let Some(file) = arguments.ca {
        let pem = fs::read(&file).map_err(|error| Failure::Read(file.display().to_string(), error))?;
        agent = agent.with_ca_pem(&pem)?;
    }
    let session = Session { agent, account: arguments.account, json: arguments.json };
    match arguments.command {
        Command::Enroll { link, name, yes } => session.enroll(&link, &name, yes).await,
        Command::Accounts => session.accounts().await,
        Command::Code => session.codes(),
        Command::Rename { name } => {
            let account = session.only()?;
            let profile = DeviceProfile { device_name: Some(name), ..DeviceProfile::default() };
            let status = account.change_profile(profile).await?;
            session.changed(&account, status, "has another name")
        }
        Command::RotateKey => {
            let account = session.only()?;
            let status = account.rotate_key().await?;
            session.changed(&account, status, "has a new key")
        }
        Command::Unenroll { yes } => session.unenroll(yes).await,
        Command::Pending => session.pending().await,
        Command::Listen => listen::run(session.chosen()?, session.json).await,
        Command::Show { id } => session.show(&id).await,
        Command::Approve { id, match_code } => session.approve(&id, match_code).await,
        Command::Deny { id, reason } => {
            let (account, challenge) = session.find(&id).await?;
            let answer = account.deny(&challenge, reason.into()).await?;
            Ok(session.answered(&challenge, answer))
        }
    }
}

/// The XDG Base Directory Specification's place for state.
fn default_directory() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("countersign-agent"))
}

/// What all commands need.
struct Session {
    agent: Agent,
    account: Option<String>,
    json: bool,
}

impl Session {
    async fn enroll(&self, link: &str, name: &str, yes: bool) -> Result<Outcome, Failure> {
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
        if self.json {
            output::json(&json::enrolled(&enrolled)?);
            return Ok(Outcome::Done);
        }
        output::line(&format!("Enrolled as {}.", enrolled.account.device_id()));
        match enrolled.confirmation_code() {
            Some(code) => output::line(&format!(
                "Confirmation code: {code}\nType it on the page that shows the QR code. Until then this device \
                 can approve nothing."
            )),
            None => output::line("No confirmation is needed: this device can approve at once."),
        }
        Ok(Outcome::Done)
    }

    async fn accounts(&self) -> Result<Outcome, Failure> {
        let mut listed = Vec::new();
        for account in self.chosen()? {
            // One server that does not answer must not hide the other accounts.
            let status = account.refresh().await;
            listed.push(json::account(&account, Some(&status))?);
            if !self.json {
                output::lines(&account_lines(&account, &status)?);
                output::line("");
            }
        }
        if self.json {
            output::json(&serde_json::json!({ "accounts": listed }));
        } else if listed.is_empty() {
            output::line("No account yet: `countersign-agent enroll LINK` adds one.");
        }
        Ok(Outcome::Done)
    }

    fn codes(&self) -> Result<Outcome, Failure> {
        let mut listed = Vec::new();
        for account in self.chosen()? {
            let code = match account.code() {
                // Of all accounts those that have codes; of the one that was named it must be told.
                Err(Error::NoCodes(_)) if self.account.is_none() => continue,
                code => code?,
            };
            if !self.json {
                let left = code.time_left.as_secs();
                let whose = format!("{} ({})", account.account_name(), account.application_name());
                output::line(&format!("{}  {whose}, for another {left} s", code.reveal()));
            }
            listed.push(json::code(&account, &code));
        }
        if self.json {
            output::json(&serde_json::json!({ "codes": listed }));
        } else if listed.is_empty() {
            output::line("No account on this device has codes.");
        }
        Ok(Outcome::Done)
    }

    async fn unenroll(&self, yes: bool) -> Result<Outcome, Failure> {
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

    fn changed(&self, account: &Account, status: AccountStatus, what: &str) -> Result<Outcome, Failure> {
        let name = status.device_name.clone();
        if self.json {
            let account = json::account(account, Some(&Ok(status)))?;
            output::json(&serde_json::json!({ "account": account }));
        } else {
            output::line(&format!("{name} ({}) {what}.", account.device_id()));
        }
        Ok(Outcome::Done)
    }

    /// The account that was named, or the only one.
    fn only(&self) -> Result<Account, Failure> {
        let mut chosen = self.chosen()?;
        match (chosen.pop(), chosen.is_empty()) {
            (Some(account), true) => Ok(account),
            (None, _) => {
                Err(Failure::Usage("there is no account yet: `countersign-agent enroll LINK` adds one"))
            }
            (Some(_), false) => Err(Failure::Usage("there are several accounts: choose one by --account")),
        }
    }

    async fn pending(&self) -> Result<Outcome, Failure> {
        let mut found = Vec::new();
        let mut failure = None;
        for account in self.chosen()? {
            match account.pending().await {
                Ok(challenges) => found.extend(challenges),
                Err(error) => failure = Some(error),
            }
        }
        if self.json {
            let challenges: Vec<_> = found.iter().map(json::challenge).collect();
            output::json(&serde_json::json!({ "challenges": challenges }));
        } else {
            for challenge in &found {
                output::line(&summary(challenge));
            }
            if found.is_empty() && failure.is_none() {
                output::line("Nothing waits for an answer.");
            }
        }
        // What was found has been printed; that something is missing must be seen all the same.
        failure.map_or(Ok(Outcome::Done), |error| Err(error.into()))
    }

    async fn show(&self, id: &str) -> Result<Outcome, Failure> {
        let (_, challenge) = self.find(id).await?;
        if self.json {
            output::json(&json::challenge(&challenge));
        } else {
            output::challenge(&challenge);
        }
        Ok(Outcome::Done)
    }

    async fn approve(&self, id: &str, match_code: Option<String>) -> Result<Outcome, Failure> {
        let (account, challenge) = self.find(id).await?;
        if !self.json {
            output::challenge(&challenge);
        }
        let match_code = match match_code {
            Some(match_code) => match_code,
            None if challenge.match_code_digits() == 0 => String::new(),
            None if self.json => return Err(Failure::Usage("this challenge asks for --match-code")),
            None => terminal::ask("Match code, as the login page shows it: ")?,
        };
        // A terminal is no PIN and no biometric.
        let answer = account.approve(&challenge, &match_code, UserVerification::None).await?;
        Ok(self.answered(&challenge, answer))
    }

    fn answered(&self, challenge: &VerifiedChallenge, answer: Answer) -> Outcome {
        if self.json {
            output::json(&json::answer(challenge, answer));
        } else {
            output::line(&format!("Challenge {}: {answer}", challenge.id()));
        }
        if answer.accepted { Outcome::Done } else { Outcome::NotAccepted }
    }

    async fn find(&self, id: &str) -> Result<(Account, VerifiedChallenge), Failure> {
        let Some(device_id) = &self.account else { return Ok(self.agent.find_challenge(id).await?) };
        let account = self.agent.account(device_id)?;
        let challenge = account.challenge(id).await?;
        Ok((account, challenge))
    }

    fn chosen(&self) -> Result<Vec<Account>, Failure> {
        match &self.account {
            Some(device_id) => Ok(vec![self.agent.account(device_id)?]),
            None => Ok(self.agent.accounts()?),
        }
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

fn account_lines(
    account: &Account,
    status: &Result<countersign_agent::AccountStatus, Error>,
) -> Result<Vec<(&'static str, String)>, Error> {
    Ok(vec![
        ("Account", format!("{} ({})", account.account_name(), account.application_name())),
        ("Device", format!("{} ({})", account.device_name()?, account.device_id())),
        ("Server", format!("{} ({})", account.server(), account.server_id())),
        (
            "State",
            match status {
                Ok(status) => output::account_state(status.state).to_owned(),
                Err(error) => format!("not known: {error}"),
            },
        ),
    ])
}

fn summary(challenge: &VerifiedChallenge) -> String {
    let left = match challenge.state() {
        ChallengeState::Pending => format!("{} s left", challenge.time_left().as_secs()),
        _ => "no longer open".to_owned(),
    };
    let shown = challenge.shown();
    let of = |label: &str| {
        let line = shown.iter().find(|line| !line.is_detail && line.label == label);
        line.map_or("", |line| &line.value)
    };
    format!("{}  {}: {}, {left}", of("Challenge"), of("Application"), of("Purpose"))
}
