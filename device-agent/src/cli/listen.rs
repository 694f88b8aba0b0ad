//! `listen`: a prompt for each challenge as it arrives, of all accounts at once.

use countersign_agent::{Account, Error, ErrorReason, News, Settled};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{Failure, Outcome, desk::Desk, exit_code, json, output, terminal};

/// What one account's listener tells.
enum Heard {
    News(News),
    /// It listens no more.
    Ended(Error),
}

/// Listens for all accounts until none of them is left.
pub(crate) async fn run(accounts: Vec<Account>, as_json: bool) -> Result<Outcome, Failure> {
    if accounts.is_empty() {
        return Err(Failure::Usage("no account yet: `countersign-agent enroll LINK` adds one"));
    }
    let heard = listen_for(&accounts);
    if as_json { print_all(&accounts, heard).await } else { ask_all(&accounts, heard).await }
}

/// Listens for each account in a task of its own. It ends when all have ended.
fn listen_for(accounts: &[Account]) -> UnboundedReceiver<(usize, Heard)> {
    let (told, heard) = mpsc::unbounded_channel();
    for (number, account) in accounts.iter().cloned().enumerate() {
        let told = told.clone();
        tokio::spawn(async move {
            // Whoever heard has ended with the program.
            let mut tell = |news| drop(told.send((number, Heard::News(news))));
            let ended = account.listen(&mut tell).await;
            let _ = told.send((number, Heard::Ended(ended)));
        });
    }
    heard
}

/// One JSON object for each event, and no questions.
async fn print_all(
    accounts: &[Account],
    mut heard: UnboundedReceiver<(usize, Heard)>,
) -> Result<Outcome, Failure> {
    let mut code = 0;
    while let Some((number, heard)) = heard.recv().await {
        let account = &accounts[number];
        output::json(&match heard {
            Heard::News(news) => json::news(account, news),
            Heard::Ended(error) => {
                let failure = Failure::Agent(error);
                code = exit_code(&failure);
                json::ended(account, &failure)
            }
        });
    }
    Ok(Outcome::Ended(code))
}

/// Shows each challenge and asks the person, one after the other.
async fn ask_all(
    accounts: &[Account],
    mut heard: UnboundedReceiver<(usize, Heard)>,
) -> Result<Outcome, Failure> {
    let mut typed = terminal::lines();
    let mut desk = Desk::default();
    let mut code = 0;
    let mut is_input_open = true;
    loop {
        tokio::select! {
            news = heard.recv() => match news {
                Some((number, Heard::News(news))) => tell(&mut desk, &accounts[number], news),
                Some((number, Heard::Ended(error))) => {
                    let account = &accounts[number];
                    desk.forget(account);
                    output::note(&format!("{}: {}", name(account), why_ended(&error)));
                    code = exit_code(&Failure::Agent(error));
                }
                None => return Ok(Outcome::Ended(code)),
            },
            line = typed.recv(), if is_input_open => match line {
                Some(line) => desk.answer(&line).await,
                // Others may answer, such as `approve` in another terminal; here is nobody to ask.
                None => is_input_open = false,
            },
        }
    }
}

fn tell(desk: &mut Desk, account: &Account, news: News) {
    match news {
        News::Listening => output::note(&format!("{}: listening", name(account))),
        News::Asked(challenge) => desk.ask(account, *challenge),
        News::Settled(settled) => desk.settle(&settled),
        News::Interrupted(error) => output::note(&format!("{}: interrupted: {error}", name(account))),
    }
}

/// What a challenge came to, in words.
pub(crate) fn settled_in_words(settled: &Settled) -> String {
    let answer = countersign_agent::Answer {
        accepted: true,
        state: settled.state,
        denial_reason: settled.denial_reason,
    };
    format!("Challenge {}: {answer}", settled.challenge_id)
}

fn name(account: &Account) -> String {
    format!("{} ({})", account.account_name(), account.application_name())
}

fn why_ended(error: &Error) -> String {
    if error.is_refused(ErrorReason::CredentialInvalid) {
        return "ended: the server takes this device no more, because it was revoked or its user forgotten; ask for \
                a new link to enrol it again"
            .to_owned();
    }
    format!("ended: {error}")
}
