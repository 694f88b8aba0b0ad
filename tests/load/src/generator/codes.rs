//! The TOTP codes of a device (RFC 6238).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use countersign_proto::{common::TotpAlgorithm, device::TotpSecret};
use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::{Failure, clock};

/// So many codes count at once and stay right when the step ends meanwhile: the present one, and the next.
pub(super) const AT_ONCE: u32 = 2;

/// A device's secret, and which of its codes were used.
pub(super) struct Codes {
    totp: Totp,
    period_seconds: u64,
    /// The first step whose code was not used.
    next: AtomicU64,
}

impl Codes {
    pub(super) fn of(secret: TotpSecret) -> Result<Self, Failure> {
        let algorithm = match secret.algorithm() {
            TotpAlgorithm::Sha1 => Algorithm::SHA1,
            TotpAlgorithm::Sha256 => Algorithm::SHA256,
            TotpAlgorithm::Sha512 => Algorithm::SHA512,
            TotpAlgorithm::Unspecified => return Err("a TOTP secret without an algorithm".into()),
        };
        let period = Duration::try_from(secret.period.ok_or("a TOTP secret without a period")?)?;
        let period_seconds = period.as_secs().max(1);
        let totp = Builder::new()
            .with_algorithm(algorithm)
            .with_digits(u8::try_from(secret.digits)?)
            .with_step_duration(period_seconds)
            .with_secret(Secret::new(secret.secret.into()))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { totp, period_seconds, next: AtomicU64::new(0) })
    }

    /// A code that was not used and counts now. The server accepts each step of a secret once, of the present one and
    /// its neighbours.
    pub(super) fn next(&self) -> Result<String, Failure> {
        let present = u64::try_from(clock::now().as_seconds())? / self.period_seconds;
        let step = self.next.load(Ordering::Relaxed).max(present);
        if step >= present + u64::from(AT_ONCE) {
            return Err("all codes of this secret that count now were used".into());
        }
        self.next.store(step + 1, Ordering::Relaxed);
        Ok(self.totp.generate(step * self.period_seconds).to_string())
    }
}
