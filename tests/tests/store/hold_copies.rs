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
}
