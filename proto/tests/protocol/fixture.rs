//! One login from fixed keys and times, statement by statement, so that a test can change any part of it
//! and sign it again.

use countersign_proto::{
    common::{ChallengeState, DenialReason, FactorType, Platform},
    envelope::{self, payload_digest, pre_authentication_encoding},
    key::{SigningKey, VerificationKey},
    receipt::attempt_digest,
    statement::{
        BindingStatement, CallStatement, ChallengeStatement, DecisionStatement, Detail, DetailKind,
        DeviceChangeStatement, DeviceProfile, EnrollmentStatement, Envelope, OfferStatement, Purpose,
        PushTarget, Receipt, ServerKeyStatement, SettlementStatement, Signature, UserVerification, Verdict,
        device_change_statement::Change,
        push_target::{Apns, Target},
    },
    time::UnixTime,
};
use ed25519_dalek::Signer as _;

/// When the challenge of [`Login::approved`] was created: 2026-11-18T11:06:40Z.
pub(crate) const CREATED_AT: i64 = 1_795_000_000;
/// The login attempt of [`Login::approved`].
pub(crate) const ATTEMPT_ID: &str = "attempt-1";
/// The application of every statement.
pub(crate) const APPLICATION_ID: &str = "app_3f2c1d5e-7a68-8b94-a0c1-9e8d7c6b5a40";
/// The user of [`Login::approved`].
pub(crate) const USER_ID: &str = "u-4711";
/// The device of [`Login::approved`].
pub(crate) const DEVICE_ID: &str = "dev_6b1f0c3d-5e2a-8f47-9c11-2d3e4f5a6b7c";
/// The authenticator app of [`Login::by_totp`].
pub(crate) const OTP_ID: &str = "otp_6b1f0c3d-5e2a-8f47-8b21-3e4f5a6b7c8d";
/// The recovery code of [`Login::by_recovery_code`].
pub(crate) const RECOVERY_ID: &str = "rec_6b1f0c3d-5e2a-8f47-ae43-4f5a6b7c8d9e";
/// The enrolment token of the offer.
pub(crate) const TOKEN: [u8; 20] = [7; 20];

const DAY: i64 = 86_400;

/// The keys of the tests, by the names that the vectors use. Their seeds are one byte repeated.
pub(crate) const KEYS: [(&str, u8); 9] = [
    ("root", 1),
    ("server-1", 2),
    ("server-2", 3),
    ("device", 4),
    ("other-user-device", 5),
    ("other-root", 6),
    ("other-server", 7),
    ("other-server-device", 8),
    ("second-device", 9),
];

/// The key of that name.
pub(crate) fn key(name: &str) -> SigningKey {
    let (_, seed) = KEYS.iter().find(|(known, _)| *known == name).expect("a name in KEYS");
    SigningKey::from_bytes(&[*seed; 32])
}

/// The public half of the key of that name.
pub(crate) fn public(name: &str) -> VerificationKey {
    VerificationKey::of(&key(name))
}

/// The `server_id` of the server whose root key is `root`.
pub(crate) fn server_id() -> String {
    public("root").thumbprint()
}

/// `seconds` after [`CREATED_AT`].
#[expect(clippy::unnecessary_wraps, reason = "the fields of statements are optional")]
pub(crate) fn at(seconds: i64) -> Option<pbjson_types::Timestamp> {
    Some(UnixTime::from_millis((CREATED_AT + seconds) * 1000).to_wire())
}

/// An envelope of bytes that need not be a statement, rightly signed.
pub(crate) fn sign_bytes(payload_type: &str, payload: &[u8], key: &SigningKey) -> Envelope {
    let sig = key.sign(&pre_authentication_encoding(payload_type, payload)).to_bytes().to_vec();
    let keyid = VerificationKey::of(key).thumbprint();
    let signatures = vec![Signature { sig, keyid }];
    Envelope { payload: payload.to_vec(), payload_type: payload_type.to_owned(), signatures }
}

/// The server key statement of `server-1`.
pub(crate) fn server_key() -> ServerKeyStatement {
    ServerKeyStatement {
        server_id: server_id(),
        version: 1,
        public_key: Some(public("server-1").to_wire()),
        not_before: at(-30 * DAY),
        not_after: at(335 * DAY),
    }
}

/// What the pairing link of the tests is for.
pub(crate) fn offer() -> OfferStatement {
    let token = countersign_proto::link::EnrollmentToken::from_random(TOKEN);
    OfferStatement {
        server_id: server_id(),
        application_id: APPLICATION_ID.into(),
        application_name: "Example".into(),
        user_id: USER_ID.into(),
        account_name: "anna@example.org".into(),
        token_sha256: token.digest().to_vec(),
        expires_at: at(-DAY + 600),
    }
}

/// The device's answer to [`offer`].
pub(crate) fn enrollment() -> EnrollmentStatement {
    EnrollmentStatement {
        server_id: server_id(),
        offer_sha256: payload_digest(&envelope::sign(&offer(), &key("server-1"))).to_vec(),
        public_key: Some(public("device").to_wire()),
        device_name: "Anna's Pixel".into(),
        platform: Platform::Android.into(),
    }
}

/// Who asks for its account.
pub(crate) fn call() -> CallStatement {
    CallStatement {
        server_id: server_id(),
        device_id: DEVICE_ID.into(),
        method: "/countersign.device.v1.DeviceService/GetChallenge".into(),
        issued_at: at(1),
    }
}

/// A device that tells all that it may.
pub(crate) fn device_change() -> DeviceChangeStatement {
    let apns =
        Apns { device_token: "0123456789abcdef".repeat(4), topic: "org.example.app".into(), sandbox: true };
    let profile = DeviceProfile {
        device_name: Some("Anna's phone".into()),
        push_target: Some(PushTarget { target: Some(Target::Apns(apns)) }),
        app_version: Some("2.1.0".into()),
        locale: Some("de".into()),
    };
    DeviceChangeStatement {
        server_id: server_id(),
        device_id: DEVICE_ID.into(),
        sequence: 1,
        change: Some(Change::Profile(profile)),
    }
}

/// A challenge with its answer, and everything that a receipt is made of.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) root: SigningKey,
    /// The first signs the binding, the last signs challenge and settlement.
    pub(crate) server_keys: Vec<(ServerKeyStatement, SigningKey)>,
    pub(crate) device_key: SigningKey,
    /// Whether a device settled it: the receipt of another holds neither decision nor binding.
    pub(crate) has_device: bool,
    pub(crate) challenge: ChallengeStatement,
    pub(crate) decision: DecisionStatement,
    pub(crate) settlement: SettlementStatement,
    pub(crate) binding: BindingStatement,
}

impl Login {
    /// Approved with the match code 042.
    pub(crate) fn approved() -> Self {
        let challenge_id = "chl_6b1f0c3d-5e2a-8f47-8d20-1a2b3c4d5e6f";
        let mut login = Self {
            root: key("root"),
            server_keys: vec![(server_key(), key("server-1"))],
            device_key: key("device"),
            has_device: true,
            challenge: challenge(challenge_id),
            decision: DecisionStatement {
                server_id: server_id(),
                challenge_id: challenge_id.into(),
                device_id: DEVICE_ID.into(),
                verdict: Verdict::Approve.into(),
                match_code: "042".into(),
                user_verification: UserVerification::None.into(),
                decided_at: at(20),
                ..Default::default()
            },
            settlement: SettlementStatement {
                server_id: server_id(),
                challenge_id: challenge_id.into(),
                state: ChallengeState::Approved.into(),
                factor_type: FactorType::Device.into(),
                factor_id: DEVICE_ID.into(),
                settled_at: at(21),
                ..Default::default()
            },
            binding: BindingStatement {
                server_id: server_id(),
                application_id: APPLICATION_ID.into(),
                user_id: USER_ID.into(),
                device_id: DEVICE_ID.into(),
                public_key: Some(public("device").to_wire()),
                source_sha256: payload_digest(&envelope::sign(&enrollment(), &key("device"))).to_vec(),
                platform: Platform::Android.into(),
                bound_at: at(-DAY),
            },
        };
        login.link();
        login
    }

    /// The same, denied: it was not me.
    pub(crate) fn denied() -> Self {
        let mut login = Self::approved();
        login.deny(DenialReason::NotMe);
        login.settlement.state = ChallengeState::Denied.into();
        login.settlement.denial_reason = DenialReason::NotMe.into();
        login.link();
        login
    }

    /// The same, denied by the server because the code that was typed was wrong.
    pub(crate) fn wrong_match_code() -> Self {
        let mut login = Self::approved();
        login.decision.match_code = "999".into();
        login.settlement.state = ChallengeState::Denied.into();
        login.settlement.denial_reason = DenialReason::WrongMatchCode.into();
        login.link();
        login
    }

    /// The same, approved by a TOTP code of an authenticator app.
    pub(crate) fn by_totp() -> Self {
        Self::approved().settled_without_device(FactorType::Totp, OTP_ID)
    }

    /// The same, approved by the recovery code.
    pub(crate) fn by_recovery_code() -> Self {
        Self::approved().settled_without_device(FactorType::RecoveryCode, RECOVERY_ID)
    }

    /// The same, denied by the server after too many wrong codes.
    pub(crate) fn too_many_codes() -> Self {
        let mut login = Self::approved().settled_without_device(FactorType::Unspecified, "");
        login.settlement.state = ChallengeState::Denied.into();
        login.settlement.denial_reason = DenialReason::TooManyCodes.into();
        login
    }

    /// The same, settled by what is not a device.
    pub(crate) fn settled_without_device(mut self, factor_type: FactorType, factor_id: &str) -> Self {
        self.has_device = false;
        self.settlement.factor_type = factor_type.into();
        self.settlement.factor_id = factor_id.into();
        self.link();
        self
    }

    /// The same, under a second server key; the device was bound under the first.
    pub(crate) fn rolled_over() -> Self {
        let mut login = Self::approved();
        let statement = ServerKeyStatement {
            version: 2,
            public_key: Some(public("server-2").to_wire()),
            not_before: at(-3600),
            not_after: at(300 * DAY),
            ..server_key()
        };
        login.server_keys.push((statement, key("server-2")));
        login
    }

    /// The same server and application; another user, device and challenge.
    pub(crate) fn of_other_user() -> Self {
        let mut login = Self::of_other_challenge();
        login.set_device("dev_6b1f0c3d-5e2a-8f47-a733-0f1e2d3c4b5a", "other-user-device");
        login.challenge.user_id = "u-0815".into();
        login.binding.user_id = "u-0815".into();
        login.link();
        login
    }

    /// The same user and challenge, answered by that user's other device.
    pub(crate) fn of_other_device() -> Self {
        let mut login = Self::approved();
        login.set_device("dev_6b1f0c3d-5e2a-8f47-b855-5a4b3c2d1e0f", "second-device");
        login.link();
        login
    }

    /// The same user and device, another challenge.
    pub(crate) fn of_other_challenge() -> Self {
        let mut login = Self::approved();
        let id = "chl_6b1f0c3d-5e2a-8f47-9e31-6f5e4d3c2b1a";
        login.challenge.challenge_id = id.into();
        login.challenge.attempt_sha256 = attempt_digest("attempt-2").to_vec();
        login.decision.challenge_id = id.into();
        login.settlement.challenge_id = id.into();
        login.link();
        login
    }

    /// The same names at another server, with other keys.
    pub(crate) fn of_other_server() -> Self {
        let mut login = Self::approved();
        login.root = key("other-root");
        let server_id = public("other-root").thumbprint();
        login.server_keys[0].1 = key("other-server");
        login.server_keys[0].0.public_key = Some(public("other-server").to_wire());
        login.server_keys[0].0.server_id.clone_from(&server_id);
        login.set_device(DEVICE_ID, "other-server-device");
        login.challenge.server_id.clone_from(&server_id);
        login.decision.server_id.clone_from(&server_id);
        login.settlement.server_id.clone_from(&server_id);
        login.binding.server_id = server_id;
        login.link();
        login
    }

    fn set_device(&mut self, id: &str, key_name: &str) {
        self.device_key = key(key_name);
        self.decision.device_id = id.into();
        self.settlement.factor_id = id.into();
        self.binding.device_id = id.into();
        self.binding.public_key = Some(public(key_name).to_wire());
    }

    /// Makes the decision a denial.
    pub(crate) fn deny(&mut self, reason: DenialReason) {
        self.decision.verdict = Verdict::Deny.into();
        self.decision.denial_reason = reason.into();
        self.decision.match_code.clear();
        self.decision.user_verification = UserVerification::Unspecified.into();
    }

    /// Makes the digests name the statements as they stand now.
    pub(crate) fn link(&mut self) {
        let challenge = payload_digest(&envelope::sign(&self.challenge, &self.device_key)).to_vec();
        self.decision.challenge_sha256.clone_from(&challenge);
        self.settlement.challenge_sha256 = challenge;
        let decision = payload_digest(&envelope::sign(&self.decision, &self.device_key)).to_vec();
        self.settlement.decision_sha256 = if self.has_device { decision } else { Vec::new() };
    }

    /// Signs each statement as it stands, with the key that should.
    pub(crate) fn receipt(&self) -> Receipt {
        let (_, first) = self.server_keys.first().expect("a server key");
        let (_, last) = self.server_keys.last().expect("a server key");
        Receipt {
            challenge: Some(envelope::sign(&self.challenge, last)),
            decision: self.has_device.then(|| envelope::sign(&self.decision, &self.device_key)),
            settlement: Some(envelope::sign(&self.settlement, last)),
            binding: self.has_device.then(|| envelope::sign(&self.binding, first)),
            server_keys: self.server_keys.iter().map(|(key, _)| envelope::sign(key, &self.root)).collect(),
            root_key: Some(VerificationKey::of(&self.root).to_wire()),
        }
    }
}

fn challenge(challenge_id: &str) -> ChallengeStatement {
    let detail = |kind: DetailKind, label: &str, value: &str| Detail {
        kind: kind.into(),
        label: label.into(),
        value: value.into(),
    };
    ChallengeStatement {
        server_id: server_id(),
        challenge_id: challenge_id.into(),
        application_id: APPLICATION_ID.into(),
        user_id: USER_ID.into(),
        purpose: Purpose::Login.into(),
        created_at: at(0),
        expires_at: at(120),
        details: vec![
            detail(DetailKind::IpAddress, "IP address", "198.51.100.7"),
            detail(DetailKind::Browser, "Browser", "Firefox on Linux"),
        ],
        match_code_digits: 3,
        user_verification_required: false,
        attempt_sha256: attempt_digest(ATTEMPT_ID).to_vec(),
    }
}
