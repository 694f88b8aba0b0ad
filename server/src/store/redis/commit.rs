//! The one script that changes records: a compare-and-set with the time in it.

use std::{sync::LazyLock, time::Duration};

use countersign_domain::{
    UnixTime, challenge::ChallengeRecord, id::UserTag, operation::Writes, record, user, user::UserRecord,
};
use redis::{Script, ScriptInvocation};

use super::{
    Snapshot,
    keys::Keys,
    message,
    versioned::{Version, VersionedUser},
};

/// How far the time of the commit may lie from the time that the operation was given.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// The script, to be loaded when a connection opens.
pub(super) fn script() -> &'static Script {
    static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("commit.lua")));
    &SCRIPT
}

/// What the script answers when all is written. Otherwise nothing is: what was loaded has changed, or the time is
/// over.
pub(super) const WRITTEN: i64 = 1;

/// The call that commits `writes` in place of what `snapshot` shows, under the version `new`.
pub(super) fn invocation(
    keys: &Keys,
    snapshot: &Snapshot,
    writes: &Writes,
    new: [u8; 8],
) -> ScriptInvocation<'static> {
    let user = snapshot.user;
    let user_record = writes.user.as_ref().unwrap_or(&snapshot.loaded.user);
    let end = writes.challenge.as_ref().map(ChallengeRecord::readable_until);
    let challenges_until = end.max(snapshot.challenges_until);
    let keep_until = keep_until(user_record, challenges_until, snapshot.now);

    let mut call = script().prepare_invoke();
    call.key(keys.user(user)).key(keys.waiting(user));
    call.arg(version(&snapshot.version));
    call.arg(snapshot.now.minus(COMMIT_WITHIN).as_millis());
    let latest = snapshot.now.plus(COMMIT_WITHIN);
    call.arg(writes.before.map_or(latest, |before| before.min(latest)).as_millis());
    let messages = messages(writes, user);
    call.arg(keys.channels()).arg(messages.len());
    for message in messages {
        call.arg(message);
    }
    call.arg(VersionedUser::encode(new, challenges_until, user_record)).arg(keep_until.as_millis());
    if let (Some(challenge), Some(end)) = (&writes.challenge, end) {
        call.key(keys.challenge(challenge.id));
        call.arg(record::encode(challenge)).arg(end.as_millis());
        if let Some(attempt) = writes.attempt {
            call.key(keys.attempt(user, attempt));
            call.arg(&challenge.id.to_bytes()[..]).arg(end.as_millis());
        }
    }
    call
}

/// When a user record ends that is written at `now`: once it says nothing any more and no challenge of the user can be
/// read. Both may be earlier than when it was written before.
///
/// But no record ends within twice the window of a commit. Whoever loaded none, before this one was written, may commit
/// until one window later, and would take the absence that follows a record for the one that he saw. (A
/// clock of Redis that steps on and back again while a commit is on its way could still bring that about: both steps
/// within its 2 s.)
pub(super) fn keep_until(user: &UserRecord, challenges_until: Option<UnixTime>, now: UnixTime) -> UnixTime {
    let least = now.plus(COMMIT_WITHIN * 2);
    user.keep_until().max(challenges_until).map_or(least, |until| until.max(least))
}

fn version(version: &Version) -> &[u8] {
    version.as_ref().map_or(&[], |version| version.as_slice())
}

/// What the servers that wait for the user are told.
fn messages(writes: &Writes, user: UserTag) -> Vec<String> {
    let ends = writes.ended.iter().map(|ended| message::of_end(*ended));
    ends.chain(writes.concerns_devices.then(|| message::of_devices(user))).collect()
}

/// Until when what lies beside a challenge is kept where the challenge itself is not at hand.
pub(super) fn longest_life() -> Duration {
    user::TOMBSTONE_STANDS
}

/// The present, as Redis tells it: seconds and microseconds.
pub(super) fn time_of((seconds, micros): (i64, i64)) -> UnixTime {
    UnixTime::from_millis(seconds.saturating_mul(1000).saturating_add(micros / 1000))
}
