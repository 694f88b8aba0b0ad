//! `countersign user`: what an operator needs when somebody cannot log in, or has lost a phone.

mod print;

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use countersign_proto::login;
use serde_json::json;

use super::{
    CommandResult, ConfigArgs,
    data::{named, open_of},
};
use crate::{
    clock::SystemClock,
    operator::{Operator, Unlocked, Unreached},
    random::SystemRandom,
    store::applications::Application,
};

/// Commands about users.
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Show a user's factors, and pending challenges with how far their wake-ups came.
    Show(Show),
    /// Take a factor away for good, as a backend does by RevokeFactor.
    Revoke(Revoke),
    /// Let codes and pushes through again after too many failures or 'it was not me', as a backend does by UnlockUser.
    Unlock(Unlock),
    /// Let a user who has no factor left enrol one, once, within 24 hours; a running server heeds it at once.
    AllowEnrollment(AllowEnrollment),
}

/// Options of `user unlock`.
#[derive(Args, Debug)]
#[command(
    after_help = "'It was not me' means that somebody knows this person's password: have it changed first. A hundred \
    wrong codes in a row mean that somebody is guessing."
)]
pub(super) struct Unlock {
    #[command(flatten)]
    who: Who,
}

/// Options of `user allow-enrollment`.
#[derive(Args, Debug)]
#[command(
    after_help = "First make sure by other means that it is this person who asks: with it, the password alone is \
    enough to enrol a device."
)]
pub(super) struct AllowEnrollment {
    #[command(flatten)]
    who: Who,
}

/// Options of `user show`.
#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    who: Who,
    /// Print a JSON object: `application_id`, `user`, `pending`, `pending_unknown`.
    #[arg(long)]
    json: bool,
}

/// Options of `user revoke`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status 1 with `in_force` false: it is revoked, and no login is redeemed by it any more, \
    but a challenge that is pending may still take its answer until a running server has seen to it, within a minute."
)]
pub(super) struct Revoke {
    #[command(flatten)]
    who: Who,
    /// The factor's id, such as dev_...; `countersign user show` has them.
    factor: String,
    /// Print a JSON object: `application_id`, `revoked`, `in_force`, `user`.
    #[arg(long)]
    json: bool,
}

/// Whom a command is about.
#[derive(Args, Debug)]
struct Who {
    #[command(flatten)]
    config: ConfigArgs,
    /// The application's name.
    application: String,
    /// The application's own id of the person.
    user: String,
}

impl User {
    pub(super) async fn run(self) -> CommandResult {
        match self {
            Self::Show(show) => show.run().await,
            Self::Revoke(revoke) => revoke.run().await,
            Self::Unlock(unlock) => unlock.run().await,
            Self::AllowEnrollment(allow) => allow.run().await,
        }
    }
}

impl Who {
    async fn open(self) -> Result<(Operator, Application, String), Box<dyn std::error::Error>> {
        let config = self.config.load(None)?;
        let foundation = open_of(&config.server)?;
        let application = named(&foundation, &self.application).await?;
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let operator = Operator::open(&foundation, config.redis, clock, random).await?;
        Ok((operator, application, self.user))
    }
}

impl Show {
    async fn run(self) -> CommandResult {
        let (operator, application, user_id) = self.who.open().await?;
        let known = operator.show(&application, &user_id).await?;
        if self.json {
            let unknown = known.pending.as_ref().err().map(Unreached::to_string);
            let printed = json!({
                "application_id": application.id.to_string(),
                "user": known.user,
                "pending": known.pending.ok(),
                "pending_unknown": unknown,
            });
            println!("{printed}");
            return Ok(ExitCode::SUCCESS);
        }
        print::user(&application, &known.user);
        match known.pending {
            Ok(pending) => print::pending(&pending),
            Err(unreached) => println!("\npending     not known: {unreached}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self) -> CommandResult {
        let (operator, application, user_id) = self.who.open().await?;
        let revoked = operator.revoke(&application, &user_id, &self.factor).await?;
        let status = if revoked.in_force.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if self.json {
            let printed = json!({
                "application_id": application.id.to_string(),
                "revoked": self.factor,
                "in_force": revoked.in_force.is_ok(),
                "user": revoked.user,
            });
            println!("{printed}");
        } else {
            println!("Revoked {}. {}", self.factor, left(&revoked.user));
        }
        if let Err(unreached) = revoked.in_force {
            eprintln!(
                "countersign: no login is redeemed by it any more, but a challenge that is pending may still take \
                 its answer until a running server has seen to it, within a minute of being able to: {unreached}"
            );
        }
        Ok(status)
    }
}

impl Unlock {
    async fn run(self) -> CommandResult {
        let (operator, application, user_id) = self.who.open().await?;
        match operator.unlock(&application, &user_id).await? {
            Ok(stood) => {
                println!("{}: {}", application.name, lifted(stood, &user_id));
                Ok(ExitCode::SUCCESS)
            }
            Err(unreached) => {
                eprintln!("countersign: nothing was changed: {unreached}");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

impl AllowEnrollment {
    async fn run(self) -> CommandResult {
        let (operator, application, user_id) = self.who.open().await?;
        let until = operator.allow_enrollment(&application, &user_id).await?;
        println!("{}: {user_id} may begin one enrolment without an approval until {until}", application.name);
        Ok(ExitCode::SUCCESS)
    }
}

fn lifted(stood: Unlocked, user_id: &str) -> String {
    let what = match (stood.codes, stood.pushes) {
        (true, true) => "codes and pushes",
        (true, false) => "codes",
        (false, true) => "pushes",
        (false, false) => return format!("nothing stood in the way of codes and pushes of {user_id}"),
    };
    format!("{what} of {user_id} go through again")
}

fn left(user: &login::User) -> String {
    match user.factors.len() {
        0 => format!("{} has no factor left.", user.user_id),
        1 => format!("{} has 1 factor left.", user.user_id),
        factors => format!("{} has {factors} factors left.", user.user_id),
    }
}
