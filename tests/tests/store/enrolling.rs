//! Things to enrol with.

use std::time::Duration;

use countersign::store::{
    codes::NewTotp,
    devices::{Bound, DeviceRow, UserKey},
    enrollments::{NewEnrollment, NewFactor, StartOutcome, TakeOutcome, Taking},
};
use countersign_domain::{
    UnixTime,
    enrollment::LIFETIME,
    id::{DeviceId, EnrollmentId},
    totp::{Algorithm, Parameters},
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
        factor: NewFactor::Device { token_tag: bytes(1, n), offer: b"offer".to_vec() },
        authorization: None,
        approved_by: None,
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
        totp: new_totp(n),
        bound: None,
    }
}

/// A TOTP secret, as if it were sealed.
pub(crate) fn new_totp(n: u64) -> NewTotp {
    let parameters = Parameters { algorithm: Algorithm::Sha1, digits: 6, period_seconds: 30 };
    NewTotp { secret: bytes(4, n).to_vec(), parameters }
}

/// What a device's enrolment is found by.
pub(crate) fn token_tag(enrollment: &NewEnrollment) -> [u8; 32] {
    match &enrollment.factor {
        NewFactor::Device { token_tag, .. } => *token_tag,
        NewFactor::Totp(_) => panic!("an authenticator app has no link"),
    }
}

/// A binding.
pub(crate) fn bound(at: UnixTime) -> Bound {
    Bound { at, envelope: b"binding".to_vec() }
}

impl Stores {
    /// Begins enrolment `n`, by an operator's permission where the user has had factors.
    pub(crate) async fn start(&self, n: u64, user: &UserKey) -> NewEnrollment {
        let enrollment = new_enrollment(n, user);
        self.allow(user).await;
        assert_eq!(self.enrollments.start(enrollment.clone()).await, Ok(StartOutcome::Started));
        enrollment
    }

    /// An operator permits an enrolment.
    pub(crate) async fn allow(&self, user: &UserKey) {
        let until = START.plus(Duration::from_hours(1000));
        self.allowances.allow_enrollment(user.clone(), until).await.expect("an answer");
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
