//! `countersign demo`: logins that are approved, denied and left to expire, and days on which no push arrives, on a
//! server of their own.
//!
//! Everything is real but Apple and Google: the server, its store in a temporary directory, the agent library as
//! phone and tablet, TLS and HTTP/2 to stand-ins for APNs and FCM. Where nobody can be asked it answers by itself, and fails unless
//! each step ends as it should.

#![expect(clippy::doc_markdown, reason = "the command line prints it as it stands")]

mod afterwards;
mod backend;
mod blocked;
mod columns;
mod enrollment;
mod error;
mod further_factor;
mod installation;
mod login;
mod lost_phone;
mod offline;
mod phone;
mod plan;
mod proof;
mod terminal;
mod two_devices;
mod wire;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, builder::NonEmptyStringValueParser};
use countersign_proto::statement::Receipt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    afterwards::Afterwards,
    backend::Backend,
    columns::{Line, Style},
    error::DemoError,
    installation::Installation,
    login::Players,
    phone::{Model, NewPhone},
    plan::Plan,
    terminal::Terminal,
    wire::Traffic,
};
use crate::cli::CommandResult;

/// The application that people log in to.
const APPLICATION: &str = "Shop";

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// Answer by itself, and exit: with status 0 only if each step ended as it should. Without a terminal it
    /// does so anyway.
    #[arg(long)]
    yes: bool,
    /// Where to write the receipt and its parts, to be kept; else they are gone when the demo ends.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep challenges in this Redis, such as redis://127.0.0.1:6379, under keys of the demo's own that end by
    /// themselves. Else they lie in an embedded file.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    redis: Option<String>,
    /// What of the server's log to print on standard error, as log.filter in the configuration.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

impl Demo {
    /// Plays, and cleans up however it ends.
    pub(crate) async fn run(self) -> CommandResult {
        let ends = Ends::catch().map_err(DemoError::Signals)?;
        let mut terminal = Terminal::new(self.yes);
        let installation = Installation::start(&self.log, self.redis.as_deref()).await?;
        let mut has_ended = false;
        let outcome = tokio::select! {
            outcome = self.play(&mut terminal, &installation, &mut has_ended) => outcome,
            () = ends.one() => Err(DemoError::Interrupted),
        };
        installation.end().await?;
        match outcome {
            // The plays were over, and only the server was still up for who wanted to try more.
            Err(DemoError::Interrupted | DemoError::NobodyAnswers) if has_ended => {
                terminal.space();
                Ok(ExitCode::SUCCESS)
            }
            outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
        }
    }

    /// `has_ended` is set once everything was played.
    async fn play(
        &self,
        terminal: &mut Terminal,
        installation: &Installation,
        has_ended: &mut bool,
    ) -> Result<(), DemoError> {
        let Installation { app, apple, google, .. } = installation;
        let traffic = Traffic::default();
        introduce(terminal, installation, self.redis.is_some());
        let application = installation.create_application(APPLICATION).await?;
        let mut backend = Backend::connect(app.origin(), &application.api_key, &traffic).await?;
        let new_phone = NewPhone::open(Model::Phone, &installation.phone_directory(), traffic.clone())?;
        let phone = enrollment::play(terminal, &mut backend, new_phone, &traffic).await?;

        let backend = &mut backend;
        let mut players = Players { terminal, backend, phone, apple, traffic: &traffic };
        let (mut first, mut receipt) = (None, None);
        for plan in Plan::ALL {
            let played = players.play(plan, first.as_ref()).await?;
            receipt = receipt.or(played.receipt);
            first.get_or_insert(played.shown);
        }
        players.play_offline().await?;
        let paper = players.play_recovery_code().await?;
        let new_phone =
            NewPhone::open(Model::NewPhone, &installation.new_phone_directory(), traffic.clone())?;
        players.play_lost_phone(new_phone, &paper).await?;
        let tablet = NewPhone::open(Model::Tablet, &installation.tablet_directory(), traffic.clone())?;
        players.play_on_two(tablet, google).await?;
        let receipts = match &receipt {
            Some(receipt) => Some(self.prove(players.terminal, installation, receipt)?),
            None => None,
        };
        *has_ended = true;
        if !players.terminal.is_asking() {
            return Ok(());
        }
        Afterwards { installation, receipts }.play(&mut players).await
    }

    /// Returns where the receipts lie.
    fn prove(
        &self,
        terminal: &Terminal,
        installation: &Installation,
        receipt: &Receipt,
    ) -> Result<PathBuf, DemoError> {
        let Installation { app, directory, .. } = installation;
        let out = self.out.clone().unwrap_or_else(|| directory.path().join("receipt"));
        let written = proof::play(terminal, &out, app.server_id(), receipt)?;
        if self.out.is_none() {
            terminal.space();
            terminal.say(Style::Faint, "These files go when the demo ends; --out DIR keeps them.");
        }
        Ok(written)
    }
}

/// What ends a demo from outside: Ctrl-C, a kill, or a terminal that is closed.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Ends {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn one(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

fn introduce(terminal: &Terminal, installation: &Installation, is_on_redis: bool) {
    let Installation { app, apple, google, .. } = installation;
    let store = if is_on_redis { "challenges in Redis" } else { "on a fresh store" };
    terminal.say(Style::Strong, "Countersign: a login is approved on a phone.");
    terminal.space();
    for part in [
        format!("server     {} (the real one, {store})", app.origin()),
        format!("server id  {}", app.server_id()),
        format!("push       {} (stands in for Apple, TLS and HTTP/2)", apple.base_url()),
        format!("           {} (stands in for Google)", google.base_url()),
        "phone      the real agent library, with keys of its own".to_owned(),
    ] {
        terminal.print(&Line::plain(part).with_indent(11));
    }
    terminal.space();
    terminal.say(
        Style::Plain,
        "Lines with ms are what really went over the wire: how long the call took, or of a push how long \
         after the login was asked for it came.",
    );
    if !terminal.is_asking() {
        terminal.space();
        terminal.say(Style::Plain, "Nobody is asked here: page and phone are answered by the demo itself.");
    }
}
