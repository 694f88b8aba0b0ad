//! Challenges that wait for the person at the terminal: one is asked, the others wait for their turn.

use std::collections::VecDeque;

use countersign_agent::{Account, Denial, Error, Settled, UserVerification, VerifiedChallenge};

use super::{listen::settled_in_words, output};

/// What waits, the one that is asked first.
#[derive(Default)]
pub(crate) struct Desk(VecDeque<(Account, VerifiedChallenge)>);

/// What a typed line means.
#[derive(Debug, PartialEq, Eq)]
enum Typed<'a> {
    Approve(&'a str),
    Deny(Denial),
    Leave,
    Unclear,
}

impl Desk {
    /// Asks, or puts it behind those that wait.
    pub(crate) fn ask(&mut self, account: &Account, challenge: VerifiedChallenge) {
        self.0.push_back((account.clone(), challenge));
        if self.0.len() == 1 {
            self.show();
        } else {
            output::note(&format!("{} more to answer after this one", self.0.len() - 1));
        }
    }

    /// Takes one away that can be answered no more.
    pub(crate) fn settle(&mut self, settled: &Settled) {
        let at = self.0.iter().position(|(_, challenge)| challenge.id() == settled.challenge_id);
        let Some(at) = at else { return };
        self.0.remove(at);
        output::note(&settled_in_words(settled));
        if at == 0 {
            self.show();
        }
    }

    /// Takes away what waits for an account that has ended.
    pub(crate) fn forget(&mut self, account: &Account) {
        let asked = self.0.front().map(|(_, challenge)| challenge.id().to_owned());
        self.0.retain(|(other, _)| other.device_id() != account.device_id());
        if self.0.front().map(|(_, challenge)| challenge.id()) != asked.as_deref() {
            self.show();
        }
    }

    /// Does what the person typed.
    pub(crate) async fn answer(&mut self, line: &str) {
        let Some((account, challenge)) = self.0.front() else { return };
        let answer = match typed(line, challenge.match_code_digits()) {
            // A terminal is no PIN and no biometric.
            Typed::Approve(match_code) => {
                account.approve(challenge, match_code, UserVerification::None).await
            }
            Typed::Deny(denial) => account.deny(challenge, denial).await,
            Typed::Leave => {
                output::line(&format!("Challenge {}: left open", challenge.id()));
                return self.next();
            }
            Typed::Unclear => return prompt(challenge),
        };
        match answer {
            Ok(answer) => output::line(&format!("Challenge {}: {answer}", challenge.id())),
            Err(error) => {
                output::note(&format!("error: {error}"));
                if may_be_answered_again(&error) {
                    return prompt(challenge);
                }
            }
        }
        self.next();
    }

    fn next(&mut self) {
        self.0.pop_front();
        self.show();
    }

    fn show(&self) {
        if let Some((_, challenge)) = self.0.front() {
            output::line("");
            output::challenge(challenge);
            prompt(challenge);
        }
    }
}

fn prompt(challenge: &VerifiedChallenge) {
    let approve = match challenge.match_code_digits() {
        _ if challenge.user_verification_required() => {
            "It asks for a PIN or biometric, which a terminal has not".to_owned()
        }
        0 => "Type 'yes' to approve".to_owned(),
        digits => format!("Type the {digits} digits that the login page shows to approve"),
    };
    output::note(&format!("{approve}; 'no' to deny, 'not me' if it was not you, nothing to leave it open:"));
}

/// What stays as it was when the answer did not get through, or was none.
fn may_be_answered_again(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. }
            | Error::Refused(_)
            | Error::MatchCode { .. }
            | Error::MatchCodeNotAsked
            | Error::UserVerificationRequired
    )
}

/// Digits approve, and so does a yes where no match code is asked for. Everything but these and a no is asked again.
fn typed(line: &str, match_code_digits: u32) -> Typed<'_> {
    let line = line.trim();
    match line.to_lowercase().as_str() {
        "" => Typed::Leave,
        "n" | "no" => Typed::Deny(Denial::Mistake),
        "not me" | "not-me" => Typed::Deny(Denial::NotMe),
        "y" | "yes" if match_code_digits == 0 => Typed::Approve(""),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Typed::Approve(line),
        _ => Typed::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_or_a_yes_where_none_are_asked_for_approve() {
        for (line, digits, meant) in [
            ("042\n", 3, Typed::Approve("042")),
            (" yes ", 0, Typed::Approve("")),
            ("yes", 3, Typed::Unclear),
            ("04 2", 3, Typed::Unclear),
            ("No", 3, Typed::Deny(Denial::Mistake)),
            ("not me", 0, Typed::Deny(Denial::NotMe)),
            ("", 3, Typed::Leave),
            ("maybe", 0, Typed::Unclear),
        ] {
            assert_eq!(typed(line, digits), meant, "{line:?}");
        }
    }
}
