//! The command line's form.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_agent::Denial;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 state directory, a file, or you said no; 2 wrong usage, link or input; 3 no such challenge \
or account; 4 the server refused; 5 no server answered, try again; 6 what the server sent is not trusted; 7 \
answered, but another answer had won; 8 the passphrase is wrong or missing";

const PASSPHRASE_FILE: &str = "\
Take the passphrase from this file, one line, instead of asking on the terminal [default: \
$COUNTERSIGN_AGENT_PASSPHRASE_FILE]";

/// Answers login challenges from the terminal.
#[derive(Debug, Parser)]
#[command(name = "countersign-agent", version, about, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Where accounts and their keys lie [default: $XDG_STATE_HOME/countersign-agent or
    /// ~/.local/state/countersign-agent]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print JSON, and ask nothing
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Trust the certificate authorities in this PEM file beside the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Use this account only, named by its device id (dev_...)
    #[arg(long, global = true, value_name = "DEVICE_ID")]
    pub(crate) account: Option<String>,
    // Not a comment that rustdoc reads: in a terminal, backticks around the variable's name would only disturb.
    #[arg(long, global = true, value_name = "FILE", help = PASSPHRASE_FILE)]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What needs the accounts unlocked.
    #[command(flatten)]
    OnAccounts(AccountCommand),
    /// Lock the accounts on this device by a passphrase
    Passphrase {
        #[command(subcommand)]
        change: PassphraseChange,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Show what a pairing link is for, and accept it
    Enroll {
        /// The pairing link that the QR code holds; quote it, it has & in it
        link: String,
        /// This device's name, 1 to 64 characters
        #[arg(long, default_value = "Countersign agent")]
        name: String,
        /// Accept without asking
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        push_target: PushTargetOptions,
    },
    /// List the accounts on this device, and ask how they stand
    Accounts,
    /// Show the code to type on a login page when this device has no network; asks nobody
    Code,
    /// Give this device another name
    Rename {
        /// 1 to 64 characters
        name: String,
    },
    /// Tell the server where to wake this device, or that it is woken nowhere
    PushTarget {
        #[command(flatten)]
        push_target: PushTargetOptions,
        /// Wake it nowhere: it streams or pulls
        #[arg(long, conflicts_with_all = ["apns_token", "fcm_token"])]
        none: bool,
    },
    /// Replace this device's key by a fresh one
    RotateKey,
    /// Take this device away from its account, and remove its keys here
    Unenroll {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List what waits for an answer
    Pending,
    /// Wait for challenges of all accounts, and ask for each as it arrives
    Listen,
    /// Show one challenge with all that it says
    Show {
        /// chl_...
        id: String,
    },
    /// Let it in
    Approve {
        /// chl_...
        id: String,
        /// The digits that the login page shows; asked for when it is left out
        #[arg(long, value_name = "DIGITS")]
        match_code: Option<String>,
    },
    /// Keep it out
    Deny {
        /// chl_...
        id: String,
        /// Why
        #[arg(long)]
        reason: Reason,
    },
}

/// Where a device is woken.
#[derive(Debug, Args)]
pub(crate) struct PushTargetOptions {
    /// Wake this device through Apple: the app's device token, 8 to 256 hexadecimal digits
    #[arg(long, value_name = "TOKEN", requires = "apns_topic", conflicts_with = "fcm_token")]
    pub(crate) apns_token: Option<String>,
    /// The app's bundle id, which the server must be configured for
    #[arg(long, value_name = "BUNDLE_ID", requires = "apns_token")]
    pub(crate) apns_topic: Option<String>,
    /// The token is of Apple's development environment
    #[arg(long, requires = "apns_token")]
    pub(crate) apns_sandbox: bool,
    /// Wake this device through Google: the app's registration token, or Firebase installation id
    #[arg(long, value_name = "TOKEN")]
    pub(crate) fcm_token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PassphraseChange {
    /// Seal all accounts by a passphrase, which every command needs from then on
    Set,
    /// Replace the passphrase by another one
    Change {
        /// Take the new one from this file, one line, instead of asking on the terminal
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Let the accounts lie open
    Remove,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Reason {
    /// It was not me
    NotMe,
    /// I did this, but do not want it
    Mistake,
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotMe => Self::NotMe,
            Reason::Mistake => Self::Mistake,
        }
    }
}
