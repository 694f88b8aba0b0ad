//! Copies of lock and block: what is copied, and what an unlocking lifts.

use std::time::Duration;

use countersign::store::devices::UserKey;
use countersign_domain::standing::Holds;

use crate::fixture::{START, Stores};

impl Stores {
    /// Lock and block of a user, as they were copied.
    async fn holds_of(&self, user: &UserKey) -> Holds {
        self.codes.of_user(user.clone()).await.expect("an answer").holds
    }
}

pub(crate) async fn lock_and_block_are_copied_until_they_are_lifted(stores: Stores) {
    let user = stores.user().await;
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    let copy = |locked_at, push_blocked_at| {
        stores.hold_copies.copy(user.clone(), Holds { locked_at, push_blocked_at })
    };
    copy(Some(at(1)), None).await.expect("an answer");
    copy(None, Some(at(2))).await.expect("an answer");
    let both = Holds { locked_at: Some(at(1)), push_blocked_at: Some(at(2)) };
    assert_eq!(stores.holds_of(&user).await, both);
    let lift = |until| stores.hold_copies.lift(user.clone(), until);
    lift(at(1)).await.expect("an answer");
    let later = Holds { locked_at: None, push_blocked_at: Some(at(2)) };
    assert_eq!(stores.holds_of(&user).await, later);
    lift(at(2)).await.expect("an answer");
    assert_eq!(stores.holds_of(&user).await, Holds::default());
    copy(Some(at(1)), Some(at(2))).await.expect("an answer");
    assert_eq!(stores.holds_of(&user).await, Holds::default());
    copy(Some(at(3)), None).await.expect("an answer");
    let again = Holds { locked_at: Some(at(3)), push_blocked_at: None };
    assert_eq!(stores.holds_of(&user).await, again);
    // Lifted by a clock that was an hour ahead, and was then set right.
    lift(at(3600)).await.expect("an answer");
    copy(None, Some(at(4))).await.expect("an answer");
    let since = Holds { locked_at: None, push_blocked_at: Some(at(4)) };
    assert_eq!(stores.holds_of(&user).await, since);
}

pub(crate) async fn a_user_of_whom_nothing_is_to_be_said_is_forgotten_a_day_after_the_unlocking(
    stores: Stores,
) {
    let user = stores.user().await;
    let named = |user_id: &str| UserKey { user_id: user_id.into(), ..user.clone() };
    let [unlocked, locked, blocked] = ["unlocked", "locked", "blocked"].map(named);
    let lock = Holds { locked_at: Some(START), push_blocked_at: None };
    let block = Holds { locked_at: None, push_blocked_at: Some(START) };
    for (user, holds) in [(&unlocked, lock), (&locked, lock), (&blocked, block)] {
        stores.hold_copies.copy(user.clone(), holds).await.expect("an answer");
    }
    let later = |millis| START.plus(Duration::from_millis(millis));
    stores.hold_copies.lift(unlocked.clone(), later(1)).await.expect("an answer");
    // Unlocked, and locked again since.
    let again = Holds { locked_at: Some(later(2)), push_blocked_at: None };
    stores.hold_copies.lift(locked.clone(), later(1)).await.expect("an answer");
    stores.hold_copies.copy(locked.clone(), again).await.expect("an answer");

    let day = 24 * 60 * 60 * 1000;
    stores.clock.set(later(day));
    assert_eq!(stores.hold_copies.clean().await, Ok(0));
    // What was read before the unlocking comes late, and is not heeded.
    stores.hold_copies.copy(unlocked.clone(), lock).await.expect("an answer");
    assert_eq!(stores.holds_of(&unlocked).await, Holds::default());
    stores.clock.set(later(day + 1));
    assert_eq!(stores.hold_copies.clean().await, Ok(1));
    assert_eq!(stores.hold_copies.clean().await, Ok(0));
    assert_eq!((stores.holds_of(&locked).await, stores.holds_of(&blocked).await), (again, block));
    // The one who was forgotten is as if nothing had been.
    stores.hold_copies.copy(unlocked.clone(), lock).await.expect("an answer");
    assert_eq!(stores.holds_of(&unlocked).await, lock);
    stores.clock.set(later(400 * day));
    assert_eq!(stores.hold_copies.clean().await, Ok(0), "a lock is never forgotten");
}

pub(crate) async fn however_many_users_were_unlocked_all_are_forgotten_in_turns(stores: Stores) {
    let user = stores.user().await;
    for n in 0..450 {
        let invented = UserKey { user_id: format!("invented-{n}"), ..user.clone() };
        stores.hold_copies.lift(invented, START).await.expect("an answer");
    }
    stores.clock.set(START.plus(Duration::from_hours(24)));
    let mut cleaned = Vec::new();
    while cleaned.last() != Some(&0) {
        cleaned.push(stores.hold_copies.clean().await.expect("an answer"));
    }
    assert_eq!(cleaned, [200, 200, 50, 0]);
}
