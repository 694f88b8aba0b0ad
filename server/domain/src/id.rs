//! Ids: `UUIDv8` (RFC 9562, section 5.8) behind a prefix that tells their kind.
//!
//! A challenge's or device's id carries its user's [`UserTag`], so that the user record is known from the id
//! alone. Ids are names, never secrets.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// T: the first 64 bits of a keyed hash of application and user. Names a user where no personal id should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserTag(pub u64);

/// A text that is no id of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}xxxxxxxx-xxxx-8xxx-xxxx-xxxxxxxxxxxx in lower case")]
pub struct InvalidId(pub &'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// The id of `head` (64 bits: a user's tag where the kind carries one) and the low 58 bits of
            /// `random`.
            pub fn new(head: u64, random: u64) -> Self {
                Self(uuid_v8(head, random))
            }

            /// The 16 bytes, for a store.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// From the 16 bytes that [`Self::to_bytes`] gave.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.as_hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix).and_then(parse_uuid_v8).map(Self).ok_or(InvalidId($prefix))
            }
        }
    };
}

id!(
    /// A challenge. Carries its user's tag.
    ChallengeId, "chl_"
);
id!(
    /// A device. Carries its user's tag.
    DeviceId, "dev_"
);
id!(
    /// An enrolment.
    EnrollmentId, "enr_"
);
id!(
    /// A TOTP secret of an authenticator app. Carries its user's tag.
    OtpId, "otp_"
);
id!(
    /// A recovery code. Carries its user's tag.
    RecoveryId, "rec_"
);
id!(
    /// An application.
    ApplicationId, "app_"
);

impl ChallengeId {
    /// The tag of the user who is asked.
    pub fn user(self) -> UserTag {
        UserTag(head(self.0))
    }
}

impl DeviceId {
    /// The tag of the user whose device it is.
    pub fn user(self) -> UserTag {
        UserTag(head(self.0))
    }
}

impl OtpId {
    /// The tag of the user whose secret it is.
    pub fn user(self) -> UserTag {
        UserTag(head(self.0))
    }
}

impl RecoveryId {
    /// The tag of the user whose code it is.
    pub fn user(self) -> UserTag {
        UserTag(head(self.0))
    }
}

/// A factor of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FactorId {
    /// A device, or, where a code is meant, the device's own TOTP secret.
    Device(DeviceId),
    /// An authenticator app's TOTP secret.
    Totp(OtpId),
    /// A recovery code.
    Recovery(RecoveryId),
}

impl FactorId {
    /// The tag of the user whose factor it is.
    pub fn user(self) -> UserTag {
        match self {
            Self::Device(id) => id.user(),
            Self::Totp(id) => id.user(),
            Self::Recovery(id) => id.user(),
        }
    }
}

impl fmt::Display for FactorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => id.fmt(f),
            Self::Totp(id) => id.fmt(f),
            Self::Recovery(id) => id.fmt(f),
        }
    }
}

impl FromStr for FactorId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let device = text.parse().map(Self::Device);
        let totp = || text.parse().map(Self::Totp);
        let recovery = || text.parse().map(Self::Recovery);
        device
            .or_else(|_| totp())
            .or_else(|_| recovery())
            .map_err(|_: InvalidId| InvalidId("dev_, otp_ or rec_"))
    }
}

/// 64 + 58 bits around RFC 9562's version (4 bits) and variant (2 bits).
fn uuid_v8(head: u64, random: u64) -> Uuid {
    const VERSION: u128 = 0x8 << 76;
    const VARIANT: u128 = 0b10 << 62;
    let head = u128::from(head);
    let [high, middle, low] = [head >> 16, (head >> 4) & 0xfff, head & 0xf];
    let random = u128::from(random) & ((1 << 58) - 1);
    Uuid::from_u128(high << 80 | VERSION | middle << 64 | VARIANT | low << 58 | random)
}

fn head(uuid: Uuid) -> u64 {
    let bits = uuid.as_u128();
    let head = (bits >> 80) << 16 | ((bits >> 64) & 0xfff) << 4 | (bits >> 58) & 0xf;
    u64::try_from(head).expect("48, 12 and 4 bits")
}

/// One spelling only: lower case with hyphens, version 8, variant 10.
fn parse_uuid_v8(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let is_v8 = uuid.get_version_num() == 8 && uuid.get_variant() == uuid::Variant::RFC4122;
    (is_v8 && uuid.as_hyphenated().to_string() == text).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_read_back_and_carries_its_tag(tag: u64, random: u64) {
            let id = ChallengeId::new(tag, random);
            prop_assert_eq!(id.user(), UserTag(tag));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(ChallengeId::from_bytes(id.to_bytes()), id);
            prop_assert_eq!(DeviceId::new(tag, random).user(), UserTag(tag));
            for factor in [
                FactorId::Device(DeviceId::new(tag, random)),
                FactorId::Totp(OtpId::new(tag, random)),
                FactorId::Recovery(RecoveryId::new(tag, random)),
            ] {
                prop_assert_eq!(factor.user(), UserTag(tag));
                prop_assert_eq!(factor.to_string().parse(), Ok(factor));
            }
            prop_assert!(id.to_string().parse::<FactorId>().is_err());
            let other = ChallengeId::new(tag, random ^ 1);
            prop_assert_ne!(id, other);
        }
    }

    #[test]
    fn other_spellings_are_no_ids() {
        let good = ChallengeId::new(u64::MAX, u64::MAX).to_string();
        assert_eq!(good, "chl_ffffffff-ffff-8fff-bfff-ffffffffffff");
        for bad in [
            "",
            "chl_",
            "dev_ffffffff-ffff-8fff-bfff-ffffffffffff",
            "chl_FFFFFFFF-ffff-8fff-bfff-ffffffffffff",
            "chl_ffffffffffff8fffbfffffffffffffff",
            "chl_{ffffffff-ffff-8fff-bfff-ffffffffffff}",
            "chl_ffffffff-ffff-4fff-bfff-ffffffffffff",
            "chl_ffffffff-ffff-8fff-ffff-ffffffffffff",
        ] {
            assert_eq!(bad.parse::<ChallengeId>(), Err(InvalidId("chl_")), "{bad}");
        }
    }
}
