//! Lock and block of a user: what outlives the store of challenges.
//!
//! They stand in the user record, where every operation heeds them in the write itself, and are copied to the
//! directory by whoever sees them; an empty store of challenges takes them back from there.

use countersign_domain::{
    operation::{Stand, Unlock},
    standing::Holds,
};

use crate::{
    core::Core,
    store::{StoreError, devices::UserKey},
};

/// Copies what stands in the way of a user. Nothing rests on it while the store of challenges is there: a copy that
/// could not be made has been logged by the store, and is made by whoever meets it next.
pub async fn copy(core: &Core, user: &UserKey, holds: Holds) {
    if holds != Holds::default() {
        let _ = core.hold_copies.copy(user.clone(), holds).await;
    }
}

/// Copies what stands in the way of a user just now.
pub async fn copy_present(core: &Core, user: &UserKey) {
    if let Ok(standing) = core.challenges.read(Stand { user: core.ids.user_tag(user) }).await {
        copy(core, user, standing.holds()).await;
    }
}

/// Lets codes and pushes through again: everywhere when this returns.
pub async fn lift(core: &Core, user: UserKey) -> Result<(), StoreError> {
    // What the store of challenges has lost stands in the directory, by a clock that may have been ahead.
    let copy = core.codes.of_user(user.clone()).await?.holds;
    let at = core.challenges.update(Unlock { user: core.ids.user_tag(&user), copy }).await?;
    core.hold_copies.lift(user, at).await
}
