//! Rows of steps that would be too rare at random.

use std::collections::VecDeque;

use countersign_domain::{
    challenge::{ChallengeRecord, REDEEM_WITHIN},
    code::{CodeKind, Codes},
    id::ChallengeId,
    operation::{Create, Stand, Unlock, VerifyCode, View},
    standing::Holds,
};

use super::{ATTEMPTS, FAILURES, Step, World};
use crate::{
    fixture::{APPROVE, code},
    model::call::Call,
};

/// A step that is made once the one before has happened.
pub(super) type Todo = Box<dyn FnOnce(&mut World) -> Step + Send>;

fn one(call: impl FnOnce(&mut World) -> Call + Send + 'static) -> Todo {
    Box::new(move |world| Step::One(Box::new(call(world))))
}

impl World {
    /// So many wrong codes that they deny a challenge; an approval that is redeemed too late; a device that is asked,
    /// gets another key and answers; a lock, and what becomes of it; so many challenges that wake-ups are held back.
    pub(super) fn row(&mut self) -> VecDeque<Todo> {
        let newest = self.newest().map(|newest| self.made[newest].challenge.id);
        match (self.random.below(7), newest) {
            (0, Some(challenge)) => (0..6).map(|_| wrong_code(challenge)).collect(),
            (1, Some(challenge)) => {
                let late = self.clock.now().plus(REDEEM_WITHIN);
                let view = one(move |_| Call::View(View { challenge }));
                let redeem = one(move |world| world.redeem(challenge));
                let clock: Todo = Box::new(move |_| Step::Clock(late));
                let approve = one(move |world| world.decide_as(challenge, APPROVE));
                [approve, clock, redeem, view].into()
            }
            (2, _) => self.new_key(),
            (3..6, _) => self.lock(),
            _ => {
                let user = self.random.below(self.users.len());
                let create = |attempt| one(move |world| world.create_for(user, attempt, |_| {}));
                (0..ATTEMPTS).map(create).collect()
            }
        }
    }

    /// Somebody is asked, and his devices get other keys before they answer.
    fn new_key(&mut self) -> VecDeque<Todo> {
        let user = self.random.below(self.users.len());
        let attempt = self.random.below(ATTEMPTS);
        let create = one(move |world| world.create_for(user, attempt, |_| {}));
        let replace = (0..3).map(|_| one(move |world| world.replace_key(user)));
        let decide = (0..3).map(|_| {
            one(move |world| {
                let challenge = world.latest();
                world.decide(challenge)
            })
        });
        [create].into_iter().chain(replace).chain(decide).collect()
    }

    /// A user who has had many wrong codes has a few more, which is copied; then the stores lose it, or somebody unlocks
    /// him, or neither. After that he can be asked for a code only.
    fn lock(&mut self) -> VecDeque<Todo> {
        let user = self.random.below(FAILURES.len());
        let (tag, attempt) = (self.users[user].tag, self.random.below(ATTEMPTS));
        let create =
            one(move |world| world.create_for(user, attempt, |challenge| challenge.codes = with_codes()));
        let wrong = (0..4).map(|_| {
            one(|world| {
                let challenge = world.latest();
                Call::Code(code(challenge, None))
            })
        });
        let copy = one(move |_| Call::Stand(Stand { user: tag }));
        let then: Option<Todo> = match self.random.below(3) {
            0 => Some(Box::new(|_| Step::Lose)),
            1 => Some(one(move |_| Call::Unlock(Unlock { user: tag, copy: Holds::default() }))),
            _ => None,
        };
        let attempt = (attempt + 1) % ATTEMPTS;
        let is_old = self.random.one_in(2);
        let ask = one(move |world| {
            let change = |challenge: &mut ChallengeRecord| {
                challenge.asked.clear();
                challenge.codes = with_codes();
            };
            let copy = world.directory.holds(tag, is_old);
            match world.create_for(user, attempt, change) {
                Call::Create(create) => Call::Create(Create { copy, ..create }),
                other => other,
            }
        });
        let code = one(move |world| {
            let (challenge, copy) = (world.latest(), world.directory.holds(tag, false));
            Call::Code(VerifyCode { copy, ..code(challenge, None) })
        });
        [create].into_iter().chain(wrong).chain([copy]).chain(then).chain([ask, code]).collect()
    }

    /// The challenge that was asked for last.
    fn latest(&self) -> ChallengeId {
        self.made.last().expect("one was asked for").challenge.id
    }
}

fn wrong_code(challenge: ChallengeId) -> Todo {
    one(move |world| {
        let copy: Holds = world.copy(challenge.user());
        Call::Code(VerifyCode { copy, ..code(challenge, None) })
    })
}

fn with_codes() -> Codes {
    Codes { kinds: vec![CodeKind::Totp], wrong: 0 }
}
