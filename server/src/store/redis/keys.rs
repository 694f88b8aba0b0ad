//! What the keys are called.
//!
//! A user's bucket, the top 10 bits of the [`UserTag`], is the hash tag of all keys that one operation may touch,
//! so that they share a slot of a Cluster: 1,024 buckets, for ever.

use countersign_domain::{
    id::{ChallengeId, UserTag},
    operation::AttemptTag,
};
use data_encoding::HEXLOWER;

/// Bits of the tag that are no part of the bucket.
const BITS_BELOW_BUCKET: u32 = 54;

/// Names the keys of one installation.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    /// All keys and channels begin with `prefix`.
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The user record, with its version.
    pub(super) fn user(&self, user: UserTag) -> String {
        self.key(user, 'u', &user.0.to_be_bytes())
    }

    /// A challenge record.
    pub(super) fn challenge(&self, challenge: ChallengeId) -> String {
        self.key(challenge.user(), 'c', &challenge.to_bytes())
    }

    /// The id of the challenge that an attempt of this user leads to.
    pub(super) fn attempt(&self, user: UserTag, attempt: AttemptTag) -> String {
        self.key(user, 'a', &attempt.0)
    }

    /// How far the wake-ups for a challenge came.
    pub(super) fn deliveries(&self, challenge: ChallengeId) -> String {
        self.key(challenge.user(), 'n', &challenge.to_bytes())
    }

    /// The servers where somebody waits for one of this user's challenges.
    pub(super) fn waiting(&self, user: UserTag) -> String {
        self.key(user, 'w', &user.0.to_be_bytes())
    }

    /// The servers where somebody watches how far the wake-ups for this user's challenges come.
    pub(super) fn watching_deliveries(&self, user: UserTag) -> String {
        self.key(user, 'd', &user.0.to_be_bytes())
    }

    /// A key of no user, to try things on.
    pub(super) fn probe(&self, name: &str) -> String {
        format!("{}{{000}}probe:{name}", self.prefix)
    }

    /// What the channels of all servers begin with.
    pub(super) fn channels(&self) -> String {
        format!("{}server:", self.prefix)
    }

    fn key(&self, user: UserTag, kind: char, name: &[u8]) -> String {
        let bucket = user.0 >> BITS_BELOW_BUCKET;
        format!("{}{{{bucket:03x}}}{kind}{}", self.prefix, HEXLOWER.encode(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_user_have_the_bucket_as_their_hash_tag() {
        let keys = Keys::new("countersign:".to_owned());
        let user = UserTag(u64::MAX - 1);
        let challenge = ChallengeId::new(user.0, 1);
        let all = [
            keys.user(user),
            keys.challenge(challenge),
            keys.attempt(user, AttemptTag([7; 32])),
            keys.deliveries(challenge),
            keys.waiting(user),
            keys.watching_deliveries(user),
        ];
        for key in &all {
            assert!(key.starts_with("countersign:{3ff}"), "{key}");
        }
        assert_eq!(all[0], "countersign:{3ff}ufffffffffffffffe");
    }
}
