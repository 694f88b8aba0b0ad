//! Where a passphrase comes from, and setting it.

use std::{
    env,
    fs::File,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use countersign_agent::{Agent, Error, Passphrase, StateDirectory};
use zeroize::Zeroizing;

use super::{Failure, Outcome, arguments::PassphraseChange, output, terminal};

/// Names the file where no option does.
const FILE_VARIABLE: &str = "COUNTERSIGN_AGENT_PASSPHRASE_FILE";
/// More than any passphrase may have: whatever is longer is refused for its length.
const MAX_READ: u16 = 4096;

const OPTION: &str = "passphrase-file";
const PRESENT: Wanted = Wanted { what: "the passphrase that locks the accounts here", option: OPTION };

/// What is asked for, and the option that names a file with it.
#[derive(Clone, Copy)]
struct Wanted {
    what: &'static str,
    option: &'static str,
}

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
            None => self.ask("Passphrase: ", PRESENT).await,
        }
    }

    /// A new one, which is asked for twice where no `file` is named, as the option `option` does it.
    async fn new_one(&self, file: Option<&Path>, option: &'static str) -> Result<Passphrase, Failure> {
        if let Some(file) = file {
            return read(file);
        }
        let wanted = Wanted { what: "a new passphrase", option };
        let first = self.ask("New passphrase: ", wanted).await?;
        if self.ask("The same again: ", wanted).await? != first {
            return Err(Failure::Usage("the two are not the same; nothing was changed"));
        }
        Ok(first)
    }

    async fn ask(&self, question: &str, wanted: Wanted) -> Result<Passphrase, Failure> {
        let typed = if self.may_ask { terminal::ask_hidden(question).await? } else { None };
        let typed = typed.ok_or(Failure::NoPassphrase(wanted.what, wanted.option))?;
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
            agent.set_passphrase(&source.new_one(source.file.as_deref(), OPTION).await?).await?;
            let said = "The passphrase locks all accounts here. Without it nobody can use them, nor can you.\nKeys that \
                        lay open before may be left on the disk or in backups: `rotate-key` makes them worthless.";
            (true, said)
        }
        PassphraseChange::Change { new_passphrase_file } => {
            let agent = unlocked(directory, source).await?;
            agent
                .set_passphrase(&source.new_one(new_passphrase_file.as_deref(), "new-passphrase-file").await?)
                .await?;
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

/// A regular file must be closed to others; a pipe is whoever's who opened it.
fn read(path: &Path) -> Result<Passphrase, Failure> {
    let failed = |error| Failure::Read(path.display().to_string(), error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(Failure::PassphraseFileOpen { path: path.to_owned(), mode });
    }
    // As long as it may become: what grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_READ.into()));
    file.take(MAX_READ.into()).read_to_end(&mut content).map_err(failed)?;
    Ok(Passphrase::new(&content).map_err(Error::from)?)
}
