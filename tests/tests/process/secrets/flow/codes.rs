//! Codes that people type, right and wrong, and what they are made of.

use countersign::clock::Clock as _;
use countersign_domain::totp::{Algorithm, Parameters};
use countersign_proto::{
    common::FactorType,
    login::{CodeResult, EnrollmentState},
};
use data_encoding::BASE32_NOPAD;

use super::{Device, Scene, SystemClock, other_digits, secret_at, soon};

const SHA1: Parameters = Parameters { algorithm: Algorithm::Sha1, digits: 6, period_seconds: 30 };

impl Scene {
    /// An authenticator app and a recovery code are added; logins by each code, and with wrong ones.
    pub(super) async fn use_codes(&mut self, device: &Device) {
        self.secrets.add_bytes("the device's TOTP secret", &secret_at(device, "/totp/secret"));
        self.add_app(device).await;
        let recovery_code = self.add_recovery_code(device).await;

        let (id, _) = self.create("attempt-by-code").await;
        let code = device.account.code().expect("it has codes").reveal().to_owned();
        self.secrets.add_digits("a device's code", &code);
        let wrong = other_digits(&code);
        self.secrets.add_digits("a wrong code", &wrong);
        self.type_code(&id, &wrong, CodeResult::Wrong).await;
        self.type_code(&id, &code, CodeResult::Accepted).await;
        soon(self.backend.redeem(&id, "anna", "attempt-by-code")).await.expect("approved");

        let (id, _) = self.create("attempt-by-recovery-code").await;
        let mistyped: String = recovery_code.chars().rev().collect();
        self.secrets.add_text("a mistyped recovery code", &mistyped);
        self.type_code(&id, &mistyped, CodeResult::NotACode).await;
        self.type_code(&id, &code, CodeResult::AlreadyUsed).await;
        self.type_code(&id, &recovery_code, CodeResult::Accepted).await;
        soon(self.backend.redeem(&id, "anna", "attempt-by-recovery-code")).await.expect("approved");

        let (id, _) = self.create("attempt-with-no-code").await;
        let long = "a password that somebody typed in the wrong field ".repeat(4);
        self.secrets.add_text("a password in the wrong field", &long[..50]);
        let refused = soon(self.backend.verify(&id, &long)).await;
        self.refused(refused);
    }

    async fn type_code(&mut self, challenge_id: &str, code: &str, expected: CodeResult) {
        let (result, _) = soon(self.backend.verify(challenge_id, code)).await.expect("an answer");
        assert_eq!(result, expected);
    }

    async fn add_app(&mut self, device: &Device) {
        let authorization = soon(self.backend.authorization("anna", "attempt-to-add-an-app", device)).await;
        let started = self.backend.start_another("anna", FactorType::Totp, Some(authorization));
        let started = soon(started).await.expect("it starts");
        let setup_key = started.setup_key.replace(' ', "");
        self.secrets.add_text("the otpauth URI", &started.uri);
        self.secrets.add_text("the setup key", &setup_key);
        let secret = BASE32_NOPAD.decode(setup_key.as_bytes()).expect("base32");
        self.secrets.add_bytes("the app's secret", &secret);
        let code = SHA1.code_of_step(&secret, SHA1.step_at(SystemClock.now()));
        self.secrets.add_digits("the app's first code", &code);
        let wrong = other_digits(&code);
        self.secrets.add_digits("a wrong first code", &wrong);
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        for (code, state) in [(&wrong, EnrollmentState::Pending), (&code, EnrollmentState::Completed)] {
            let confirmed = soon(self.backend.confirm(&enrollment_id, code)).await.expect("it is looked at");
            assert_eq!(confirmed.state(), state);
        }
    }

    async fn add_recovery_code(&mut self, device: &Device) -> String {
        let authorization = soon(self.backend.authorization("anna", "attempt-to-get-a-sheet", device)).await;
        let issued = soon(self.backend.issue("anna", Some(authorization))).await.expect("it is issued");
        self.secrets.add_text("the recovery code", &issued.recovery_code);
        self.secrets.add_text("the recovery code in one", &issued.recovery_code.replace('-', ""));
        self.secrets.add_text("a part of the recovery code", &issued.recovery_code[20..34]);
        issued.recovery_code
    }
}
