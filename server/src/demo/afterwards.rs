//! The plays are over: the server stays up for what a person wants to try from a second terminal.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{APPLICATION, columns::Style, error::DemoError, installation::Installation, login::Players};

/// What there is to try.
pub(super) struct Afterwards<'a> {
    pub(super) installation: &'a Installation,
    /// Where the receipts lie, if a login was approved.
    pub(super) receipts: Option<PathBuf>,
}

impl Afterwards<'_> {
    /// Asks for a login at each Enter, until the program is interrupted.
    pub(super) async fn play(&self, players: &mut Players<'_>) -> Result<(), DemoError> {
        self.invite(players);
        for number in 1_u64.. {
            players.terminal.ask("Enter: ask for another login. Ctrl-C: end.").await?;
            players.play_elsewhere(&format!("another-attempt-{number}"), &agent(self)).await?;
        }
        Ok(())
    }

    fn invite(&self, players: &Players<'_>) {
        let terminal = &players.terminal;
        terminal.heading("Still running");
        if self.receipts.is_none() {
            terminal.say(Style::Plain, "No login was approved, so there is no receipt to look at.");
            terminal.space();
        }
        terminal.say(Style::Plain, "In a second terminal, in this directory, try");
        let countersign = program();
        let agent = agent(self);
        let data = self.installation.data_directory();
        let mut commands = vec![
            format!("{agent} accounts"),
            format!("{countersign} app set {APPLICATION} match_code_digits=4 --data-dir {}", data.display()),
        ];
        if let Some(receipts) = &self.receipts {
            for file in ["receipt.json", "receipt-changed.json"] {
                let (file, server_id) = (receipts.join(file), self.installation.app.server_id());
                let file = file.display();
                commands.push(format!("{countersign} receipt verify {file} --server-id={server_id}"));
            }
        }
        for command in commands {
            terminal.space();
            terminal.command(&command);
        }
        terminal.space();
    }
}

/// The agent on the demo's phone: the program beside this one, if it has been built.
fn agent(afterwards: &Afterwards<'_>) -> String {
    let built = env::current_exe().ok().map(|path| path.with_file_name("countersign-agent"));
    let agent = match built.filter(|path| path.is_file()) {
        Some(path) => relative(&path),
        None => "cargo run --release -p countersign-agent --".to_owned(),
    };
    format!("{agent} --state-dir {}", afterwards.installation.new_phone_directory().display())
}

/// This very program.
fn program() -> String {
    env::current_exe().map_or_else(|_| "countersign".to_owned(), |path| relative(&path))
}

/// Seen from the directory that the demo was started in, if it lies below.
fn relative(path: &Path) -> String {
    let directory = env::current_dir().ok();
    let below = directory.and_then(|directory| path.strip_prefix(directory).ok());
    below.unwrap_or(path).display().to_string()
}
