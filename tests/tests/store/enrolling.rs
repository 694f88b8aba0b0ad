//! Things to enrol with.

use countersign::store::{
    devices::{Bound, DeviceRow, UserKey},
    enrollments::{NewEnrollment, TakeOutcome, Taking},
};
use countersign_domain::{
    UnixTime,
    enrollment::LIFETIME,
    id::{DeviceId, EnrollmentId},
};
use countersign_proto::common::Platform;

use crate::fixture::{START, Stores, USER};

/// 32 bytes that differ for each kind and number.
pub(crate) fn bytes(kind: u8, n: u64) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes
}

/// Enrolment `n`, from the start on.
pub(crate) fn new_enrollment(n: u64, user: &UserKey) -> NewEnrollment {
    NewEnrollment {
        id: EnrollmentId::new(n, n),
        user: user.clone(),
        account_name: "anna@example.org".into(),
        token_tag: bytes(1, n),
        offer: b"offer".to_vec(),
        created_at: START,
        expires_at: START.plus(LIFETIME),
    }
}

/// A device that takes the link: its new id is `n`, its key number `key`.
pub(crate) fn taking(enrollment: &NewEnrollment, n: u64, key: u64) -> Taking {
    Taking {
        enrollment: enrollment.id,
        device: DeviceId::new(USER, n),
        public_key: bytes(2, key),
        name: format!("device {n}"),
        platform: Platform::Ios,
        source_sha256: bytes(3, n),
        bound: None,
    }
}

/// A binding.
pub(crate) fn bound(at: UnixTime) -> Bound {
    Bound { at, envelope: b"binding".to_vec() }
}

impl Stores {
    /// Begins enrolment `n`.
    pub(crate) async fn start(&self, n: u64, user: &UserKey) -> NewEnrollment {
        let enrollment = new_enrollment(n, user);
        assert_eq!(self.enrollments.start(enrollment.clone()).await, Ok(true));
        enrollment
    }

    /// Enrols device `n`, whose key is number `n`, without confirmation.
    pub(crate) async fn enroll(&self, n: u64, user: &UserKey) -> DeviceRow {
        let enrollment = self.start(n, user).await;
        let taking = Taking { bound: Some(bound(START)), ..taking(&enrollment, n, n) };
        match self.enrollments.take(taking).await.expect("an answer") {
            TakeOutcome::Taken(row) => row.device.expect("the device that took it"),
            other => panic!("{other:?}"),
        }
    }
}
