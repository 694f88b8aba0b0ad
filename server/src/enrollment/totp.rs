//! An authenticator app's TOTP secret: shown once, confirmed by its first code.

use std::sync::Arc;

use countersign_domain::{id::FactorId, totp::Parameters};
use countersign_proto::login;
use data_encoding::BASE32_NOPAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;

use super::{Beginning, Enrollment, page::ended};
use crate::{
    codes::{new_totp, open_totp_secret},
    refusal::Refusal,
    store::{
        applications::Application,
        codes::EnrollingTotp,
        devices::UserKey,
        enrollments::{EnrollmentRow, NewFactor},
    },
};

/// Characters of a group of the setup key.
const GROUP: usize = 4;
/// What stands in an otpauth URI as it is (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Enrollment {
    /// A fresh secret as the policy wants it, and how an app takes it.
    pub(super) fn begin_totp(
        &self,
        application: &Application,
        user: &UserKey,
        account_name: &str,
    ) -> Beginning {
        let core = &self.core;
        let id = core.ids.otp(core.ids.user_tag(user));
        let policy = application.policy.effective();
        let (algorithm, digits) = (policy.totp_algorithm, policy.totp_digits);
        let (totp, secret) =
            new_totp(&core.keyring, core.random.as_ref(), user, FactorId::Totp(id), algorithm, digits);
        let account = if account_name.is_empty() { &user.user_id } else { account_name };
        Beginning {
            uri: otpauth(&application.name, account, &secret, totp.parameters),
            setup_key: setup_key(&secret),
            factor: NewFactor::Totp(EnrollingTotp { id, totp }),
        }
    }

    /// Ends an enrolment with the app's first code. A text that is no code is no try.
    pub(super) async fn confirm_totp(
        &self,
        row: EnrollmentRow,
        typed: &str,
    ) -> Result<login::Enrollment, Refusal> {
        let shared = Arc::clone(&self.core);
        let totp = row.totp.as_ref().ok_or(Refusal::EnrollmentNotFound)?;
        let parameters = totp.parameters();
        let code = parameters.code(typed).ok_or_else(|| {
            let problem = format!("must be the {} digits that the app shows; this was no try", totp.digits);
            Refusal::field("code", problem)
        })?;
        let secret = open_totp_secret(&shared.keyring, &row.user, totp).map_err(|error| {
            tracing::error!(factor.id = %totp.id, error = %error, "a stored TOTP secret does not open");
            Refusal::EnrollmentNotFound
        })?;
        let step = parameters.matching_step(secret.expose_secret(), &code, shared.clock.now());
        let (id, application) = (row.id, row.user.application);
        let confirmed = self.core.tasks.finish(async move {
            let outcome = shared.enrollments.confirm_totp(application, id, step).await;
            shared.enrollment_waiters.wake(id);
            outcome
        });
        ended(confirmed.await?, row.factor_type)
    }
}

/// The secret as an app reads it from a QR code (Key URI format of Google Authenticator). Neither name may hold
/// a colon there, even encoded.
fn otpauth(issuer: &str, account: &str, secret: &[u8], parameters: Parameters) -> String {
    let encoded = |text: &str| utf8_percent_encode(&text.replace(':', " "), ENCODED).to_string();
    let (issuer, account) = (encoded(issuer), encoded(account));
    let Parameters { algorithm, digits, period_seconds } = parameters;
    let secret = BASE32_NOPAD.encode(secret);
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm={algorithm}\
         &digits={digits}&period={period_seconds}"
    )
}

/// The secret for typing: base32 in groups.
fn setup_key(secret: &[u8]) -> String {
    let characters: Vec<char> = BASE32_NOPAD.encode(secret).chars().collect();
    characters.chunks(GROUP).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use countersign_domain::totp::Algorithm;

    use super::*;

    #[test]
    fn an_app_is_told_all_that_it_needs_and_names_cannot_change_the_rest() {
        let parameters = Parameters { algorithm: Algorithm::Sha256, digits: 8, period_seconds: 30 };
        assert_eq!(
            otpauth("A: B&C", "anna@example.org?x=1", b"1234567890", parameters),
            "otpauth://totp/A%20%20B%26C:anna%40example.org%3Fx%3D1?secret=GEZDGNBVGY3TQOJQ\
             &issuer=A%20%20B%26C&algorithm=SHA256&digits=8&period=30"
        );
        assert_eq!(setup_key(b"1234567890"), "GEZD GNBV GY3T QOJQ");
    }
}
