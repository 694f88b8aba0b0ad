//! Where a passphrase comes from, and setting it.

use std::{
    env,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use countersign_agent::{Agent, Error, Passphrase, StateDirectory};
use zeroize::Zeroizing;

use super::{Failure, Outcome, arguments::PassphraseChange, output, terminal};

/// Names the file where no option does.
const FILE_VARIABLE: &str = "COUNTERSIGN_AGENT_PASSPHRASE_FILE";
/// More than any passphrase may have: whatever is longer is refused for its length.
const MAX_READ: u16 = 4096;

/// Where the passphrase comes from: a file, or the person at the terminal.
pub(crate) struct Source {
    file: Option<PathBuf>,
    may_ask: bool,
}

impl Source {
    /// `file` as the option names it; without it, as the environment does.
    pub(crate) fn new(file: Option<PathBuf>, json: bool) -> Self {
        let named = || env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { file: file.or_else(named), may_ask: !json }
    }

    /// The agent, unlocked where that is needed.
    pub(crate) async fn open(&self, directory: StateDirectory) -> Result<Agent, Failure> {
        match directory {
            StateDirectory::Open(_) if self.file.is_some() => Err(Failure::Usage(
                "a passphrase file is named, and the accounts here have no passphrase: `passphrase set` sets one",
            )),
            StateDirectory::Open(agent) => Ok(agent),
            StateDirectory::Locked(locked) => Ok(locked.unlock(&self.present().await?).await?),
        }
    }

    async fn present(&self) -> Result<Passphrase, Failure> {
        match &self.file {
            Some(file) => read(file),
            None => self.ask("Passphrase: ").await,
        }
    }

    /// A new one, which is asked for twice where no `file` is named.
    async fn new_one(&self, file: Option<&Path>) -> Result<Passphrase, Failure> {
        if let Some(file) = file {
            return read(file);
        }
        let first = self.ask("New passphrase: ").await?;
        if self.ask("The same again: ").await? != first {
            return Err(Failure::Usage("the two are not the same; nothing was changed"));
        }
        Ok(first)
    }

    async fn ask(&self, question: &str) -> Result<Passphrase, Failure> {
        let typed = if self.may_ask { terminal::ask_hidden(question).await? } else { None };
        let typed = typed.ok_or(Failure::NoPassphrase)?;
        Ok(Passphrase::new(&typed).map_err(Error::from)?)
    }
}

/// `passphrase set`, `change` and `remove`.
pub(crate) async fn change(
    directory: StateDirectory,
    source: &Source,
    change: PassphraseChange,
    json: bool,
) -> Result<Outcome, Failure> {
    let (is_set, said) = match change {
        PassphraseChange::Set => {
            let StateDirectory::Open(agent) = directory else {
                return Err(Failure::Usage(
                    "there is a passphrase already: `passphrase change` replaces it by another one",
                ));
            };
            agent.set_passphrase(&source.new_one(source.file.as_deref()).await?).await?;
            let said = "The passphrase locks all accounts here. Without it nobody can use them, nor can you.\nKeys that \
                        lay open before may be left on the disk or in backups: `rotate-key` makes them worthless.";
            (true, said)
        }
        PassphraseChange::Change { new_passphrase_file } => {
            let agent = unlocked(directory, source).await?;
            agent.set_passphrase(&source.new_one(new_passphrase_file.as_deref()).await?).await?;
            (true, "Another passphrase locks all accounts here.")
        }
        PassphraseChange::Remove => {
            unlocked(directory, source).await?.remove_passphrase().await?;
            (false, "No passphrase locks the accounts here any more.")
        }
    };
    if json {
        output::json(&serde_json::json!({ "passphrase": is_set }));
    } else {
        output::line(said);
    }
    Ok(Outcome::Done)
}

async fn unlocked(directory: StateDirectory, source: &Source) -> Result<Agent, Failure> {
    match directory {
        StateDirectory::Open(_) => {
            Err(Failure::Usage("the accounts here have no passphrase: `passphrase set` sets one"))
        }
        locked @ StateDirectory::Locked(_) => source.open(locked).await,
    }
}

fn read(file: &Path) -> Result<Passphrase, Failure> {
    let read = || -> io::Result<Zeroizing<Vec<u8>>> {
        // As long as it may become: what grows leaves copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(MAX_READ.into()));
        File::open(file)?.take(MAX_READ.into()).read_to_end(&mut content)?;
        Ok(content)
    };
    let content = read().map_err(|error| Failure::Read(file.display().to_string(), error))?;
    Ok(Passphrase::new(&content).map_err(Error::from)?)
}
