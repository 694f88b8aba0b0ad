//! One function for each command.

mod enrollment;

use std::{env, fs, path::PathBuf};

use countersign_agent::{
    Account, AccountStatus, Agent, Answer, ChallengeState, DeviceProfile, Error, StateDirectory, StateFault,
    UserVerification, VerifiedChallenge,
};

use super::{
    Arguments, Failure, Outcome,
    arguments::{AccountCommand, Command},
    json, listen, output, passphrase, push_target, terminal,
};

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let directory = match arguments.state_dir {
        Some(directory) => directory,
        None => default_directory().ok_or(Error::State(StateFault::NoDirectory))?,
    };
    let source = passphrase::Source::new(arguments.passphrase_file, arguments.json);
    let directory = StateDirectory::open(directory)?;
    let command = match arguments.command {
        Command::Passphrase { .. } if arguments.account.is_some() || arguments.ca.is_some() => {
            return Err(Failure::Usage(
                "`passphrase` is for all accounts here and asks no server: leave out --account and --ca",
            ));
        }
        Command::Passphrase { change } => {
            return passphrase::change(directory, &source, change, arguments.json).await;
        }
        Command::OnAccounts(command) => command,
    };
    let mut agent = source.open(directory).await?;
    if let Some(file) = arguments.ca {
        let pem = fs::read(&file).map_err(|error| Failure::Read(file.display().to_string(), error))?;
        agent = agent.with_ca_pem(&pem)?;
    }
    Session { agent, account: arguments.account, json: arguments.json }.run(command).await
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
    async fn run(self, command: AccountCommand) -> Result<Outcome, Failure> {
        match command {
            AccountCommand::Enroll { link, name, yes, push_target } => {
                self.enroll(&link, &name, yes, push_target.target()?).await
            }
            AccountCommand::Accounts => self.accounts().await,
            AccountCommand::Code => self.codes(),
            AccountCommand::Rename { name } => {
                let profile = DeviceProfile { device_name: Some(name), ..DeviceProfile::default() };
                self.change(profile, "has another name").await
            }
            AccountCommand::PushTarget { push_target, none } => {
                let target = push_target.target_or(none)?;
                let what = push_target::in_words(&target);
                self.change(push_target::profile(target), what).await
            }
            AccountCommand::RotateKey => {
                let account = self.only()?;
                let status = account.rotate_key().await?;
                self.changed(&account, status, "has a new key")
            }
            AccountCommand::Unenroll { yes } => self.unenroll(yes).await,
            AccountCommand::Pending => self.pending().await,
            AccountCommand::Listen => listen::run(self.chosen()?, self.json).await,
            AccountCommand::Show { id } => self.show(&id).await,
            AccountCommand::Approve { id, match_code } => self.approve(&id, match_code).await,
            AccountCommand::Deny { id, reason } => {
                let (account, challenge) = self.find(&id).await?;
                let answer = account.deny(&challenge, reason.into()).await?;
                Ok(self.answered(&challenge, answer))
            }
        }
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

    async fn change(&self, profile: DeviceProfile, what: &str) -> Result<Outcome, Failure> {
        let account = self.only()?;
        let status = account.change_profile(profile).await?;
        self.changed(&account, status, what)
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
        (
            "Wake-ups",
            status.as_ref().map_or("not known", |status| output::push_state(status.push_state)).to_owned(),
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
