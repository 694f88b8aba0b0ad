//! The code that the device shows when it has no network (RFC 6238).

use std::time::Duration;

use countersign_proto::common::TotpAlgorithm;
use secrecy::{ExposeSecret as _, SecretString};
use totp_rs::{Algorithm, Builder, Secret};

use super::Account;
use crate::error::Error;

/// A code to type on the login page.
#[derive(Debug)]
pub struct OneTimeCode {
    code: SecretString,
    /// It changes then; the page takes it for a little longer.
    pub time_left: Duration,
}

impl OneTimeCode {
    /// 6 or 8 digits.
    pub fn reveal(&self) -> &str {
        self.code.expose_secret()
    }
}

impl Account {
    /// The present code, by this device's clock as it was last corrected by the server's. Asks nobody.
    pub fn code(&self) -> Result<OneTimeCode, Error> {
        let record = self.record()?;
        let no_secret = || Error::NoCodes(self.identity.device_id.clone());
        let totp = record.totp.as_ref().ok_or_else(no_secret)?;
        let algorithm = match totp.algorithm() {
            Some(TotpAlgorithm::Sha1) => Algorithm::SHA1,
            Some(TotpAlgorithm::Sha256) => Algorithm::SHA256,
            Some(TotpAlgorithm::Sha512) => Algorithm::SHA512,
            Some(TotpAlgorithm::Unspecified) | None => return Err(no_secret()),
        };
        let secret = Secret::new(totp.secret.0.clone().into());
        let builder = Builder::new().with_algorithm(algorithm).with_digits(totp.digits);
        let built = builder.with_step_duration(totp.period_seconds).with_secret(secret).build();
        let built = built.map_err(|_| no_secret())?;
        let now = record.server_time(self.agent.clock.now());
        let seconds = u64::try_from(now.as_seconds()).unwrap_or_default();
        let left = totp.period_seconds - seconds % totp.period_seconds;
        Ok(OneTimeCode {
            code: built.generate(seconds).to_string().into(),
            time_left: Duration::from_secs(left),
        })
    }
}
