//! `Debug` of the messages that hold a secret: a log line or a failed assertion may print them whole, and tells
//! all but the secret.

use std::fmt;

use crate::{
    device::{EnrollRequest, EnrollResponse, GetOfferRequest, TotpSecret},
    login::{
        ConfirmEnrollmentRequest, CreateChallengeResponse, IssueRecoveryCodeResponse,
        StartEnrollmentResponse, VerifyCodeRequest,
    },
    statement::{
        DecisionStatement, Envelope,
        push_target::{Apns, Fcm},
    },
};

/// Names every field, so that a new one is not printed, or left out, without anybody deciding it.
macro_rules! debug_without_secrets {
    ($message:ident { $($shown:ident),* } secret { $($secret:ident),+ }) => {
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($shown,)* $($secret: _),+ } = self;
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($secret), &format_args!("[REDACTED]")))+
                    .finish()
            }
        }
    };
}

debug_without_secrets!(GetOfferRequest {} secret { token });
debug_without_secrets!(EnrollRequest { public_key, enrollment } secret { token });
debug_without_secrets!(EnrollResponse { account, totp } secret { confirmation_code });
debug_without_secrets!(TotpSecret { algorithm, digits, period } secret { secret });
debug_without_secrets!(StartEnrollmentResponse { enrollment } secret { uri, qr_svg, setup_key });
debug_without_secrets!(IssueRecoveryCodeResponse {} secret { recovery_code, text });
debug_without_secrets!(ConfirmEnrollmentRequest { enrollment_id } secret { code });
debug_without_secrets!(VerifyCodeRequest { challenge_id, factor_type } secret { code });
debug_without_secrets!(CreateChallengeResponse { outcome } secret { match_code });
debug_without_secrets!(Apns { topic, sandbox } secret { device_token });
debug_without_secrets!(Fcm {} secret { registration_token });
// The payload may be a decision with its match code, or a device's push token.
debug_without_secrets!(Envelope { payload_type, signatures } secret { payload });
debug_without_secrets!(DecisionStatement {
    server_id, challenge_sha256, challenge_id, device_id, verdict, denial_reason, user_verification, decided_at
} secret { match_code });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed_and_all_else_is() {
        let secret = || "c0ffee".to_owned();
        let payload = b"c0ffee".to_vec();
        let printed = [
            format!("{:?}", GetOfferRequest { token: secret() }),
            format!("{:?}", EnrollRequest { token: secret(), ..Default::default() }),
            format!("{:?}", EnrollResponse { confirmation_code: secret(), ..Default::default() }),
            format!(
                "{:?}",
                StartEnrollmentResponse {
                    uri: secret(),
                    qr_svg: secret(),
                    setup_key: secret(),
                    ..Default::default()
                }
            ),
            format!("{:?}", ConfirmEnrollmentRequest { code: secret(), ..Default::default() }),
            format!("{:?}", VerifyCodeRequest { code: secret(), ..Default::default() }),
            format!("{:?}", CreateChallengeResponse { match_code: secret(), ..Default::default() }),
            format!("{:?}", Apns { device_token: secret(), topic: "org.example".into(), sandbox: true }),
            format!("{:?}", Fcm { registration_token: secret() }),
            format!("{:?}", Envelope { payload: payload.clone(), ..Default::default() }),
            format!("{:?}", DecisionStatement { match_code: secret(), ..Default::default() }),
            format!("{:?}", TotpSecret { secret: payload.clone(), ..Default::default() }),
            format!("{:?}", IssueRecoveryCodeResponse { recovery_code: secret(), text: secret() }),
        ];
        for line in &printed {
            assert!(line.contains("[REDACTED]"), "{line}");
            assert!(!line.contains("c0ffee") && !line.contains(&format!("{payload:?}")), "{line}");
        }
        assert_eq!(printed[7], "Apns { topic: \"org.example\", sandbox: true, device_token: [REDACTED] }");
    }
}
