//! `Respond`: which fault is told first, and that a malformed answer is one also on a settled challenge.

use countersign_proto::{
    common::{ChallengeState, DenialReason, ErrorReason},
    device::{self, RespondRequest},
    envelope,
    key::SigningKey,
    statement::{DecisionStatement, DeviceProfile, PublicKey, UserVerification},
    statement_form::Statement as _,
};

use crate::world::{
    Backend, ByHand, World, asking, other_id, public, refused, refused_field, sealed, with_unknown_field,
};

struct Scene {
    world: World,
    backend: Backend,
    device: ByHand,
    asked: device::Challenge,
    match_code: String,
}

/// A challenge that requires user verification, and a second one of the same user.
async fn scene() -> Scene {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut request = asking("anna", "attempt-1");
    request.user_verification_required = true;
    let (challenge, match_code) = backend.create_as(request).await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    Scene { world, backend, device, asked, match_code }
}

impl Scene {
    fn approval(&self) -> DecisionStatement {
        DecisionStatement {
            user_verification: UserVerification::Biometric.into(),
            ..self.device.approval(&self.asked, &self.match_code)
        }
    }

    /// Everything that is wrong with an answer, in the order in which it is found, as a request and its refusal.
    fn faults(&self) -> Vec<(RespondRequest, ErrorReason)> {
        let (device, approval) = (&self.device, self.approval());
        let good = device.answer(&approval);
        let with = |envelope| RespondRequest { decision: Some(envelope), ..good.clone() };
        let stranger = SigningKey::from_bytes(&[9; 32]);
        let weak = Some(PublicKey { algorithm: 1, key: vec![0; 32] });
        let mut unsigned = device.sign(&approval);
        unsigned.signatures.clear();
        let mut twice = device.sign(&approval);
        twice.signatures.push(twice.signatures[0].clone());
        let mut misnamed = device.sign(&approval);
        "somebody".clone_into(&mut misnamed.signatures[0].keyid);
        let undecodable = sealed(&device.key, DecisionStatement::PAYLOAD_TYPE, vec![0xff]);
        let change = device.sign(&device.change(1, DeviceProfile::default()));
        let mut faults = vec![
            (RespondRequest { public_key: weak, ..good.clone() }, ErrorReason::KeyNotAcceptable),
            (with(envelope::sign(&approval, &stranger)), ErrorReason::CredentialInvalid),
            (with(unsigned), ErrorReason::CredentialInvalid),
            (with(twice), ErrorReason::CredentialInvalid),
            (with(misnamed), ErrorReason::CredentialInvalid),
            (with(change), ErrorReason::StatementNotSupported),
            (with(undecodable), ErrorReason::StatementNotSupported),
            (with(with_unknown_field(&device.key, &approval)), ErrorReason::StatementNotSupported),
        ];
        let other_key = RespondRequest {
            public_key: Some(public(&stranger)),
            decision: Some(envelope::sign(&approval, &stranger)),
            ..good.clone()
        };
        faults.push((other_key, ErrorReason::ChallengeNotFound));
        for id in ["", "chl_0", &device.device_id, &other_id(&self.asked.challenge_id)] {
            let elsewhere = RespondRequest { challenge_id: id.to_owned(), ..good.clone() };
            faults.push((elsewhere, ErrorReason::ChallengeNotFound));
        }
        for mismatched in self.mismatches() {
            let sent =
                RespondRequest { challenge_id: good.challenge_id.clone(), ..device.answer(&mismatched) };
            faults.push((sent, ErrorReason::StatementMismatch));
        }
        let no_code = DecisionStatement { match_code: String::new(), ..approval.clone() };
        let unverified =
            DecisionStatement { user_verification: UserVerification::None.into(), ..approval.clone() };
        faults.push((device.answer(&no_code), ErrorReason::MatchCodeRequired));
        faults.push((device.answer(&unverified), ErrorReason::UserVerificationRequired));
        faults
    }

    /// Each signed field that must be this challenge's, with another value; all else of it is wrong too, since
    /// this is told before a match code is looked at.
    fn mismatches(&self) -> [DecisionStatement; 4] {
        let approval = DecisionStatement { match_code: String::new(), ..self.approval() };
        [
            DecisionStatement { server_id: "another".to_owned(), ..approval.clone() },
            DecisionStatement { challenge_id: "chl_0".to_owned(), ..approval.clone() },
            DecisionStatement { device_id: "dev_0".to_owned(), ..approval.clone() },
            DecisionStatement { challenge_sha256: vec![0; 32], ..approval },
        ]
    }

    async fn refuse_all(&self) {
        for (index, (request, reason)) in self.faults().into_iter().enumerate() {
            let answered = self.device.send(request).await;
            assert!(answered.is_err(), "fault {index}, {}", reason.as_str_name());
            refused(answered, reason);
        }
        let good = self.device.answer(&self.approval());
        let missing = RespondRequest { decision: None, public_key: None, ..good.clone() };
        refused_field(self.device.send(missing).await, "decision");
        refused_field(self.device.send(RespondRequest { public_key: None, ..good }).await, "public_key");
    }
}

#[tokio::test]
async fn every_fault_is_told_and_settles_nothing() {
    let scene = scene().await;
    scene.refuse_all().await;
    let id = &scene.asked.challenge_id;
    assert_eq!(scene.backend.state(id).await.state(), ChallengeState::Pending);
    assert!(scene.device.respond(&scene.approval()).await.expect("no fault").accepted);
}

#[tokio::test]
async fn a_malformed_answer_is_an_error_on_a_settled_challenge_too() {
    let scene = scene().await;
    scene.device.respond(&scene.approval()).await.expect("it counts");
    scene.refuse_all().await;
    assert!(scene.device.respond(&scene.approval()).await.expect("no fault").accepted);
}

#[tokio::test]
async fn fields_that_do_not_belong_to_a_verdict_are_refused() {
    let scene = scene().await;
    let (device, approval) = (&scene.device, scene.approval());
    let denial = device.denial(&scene.asked, DenialReason::NotMe);
    for (faulty, field) in [
        (DecisionStatement { verdict: 0, ..approval.clone() }, "verdict"),
        (DecisionStatement { verdict: 3, ..approval.clone() }, "verdict"),
        (DecisionStatement { denial_reason: 1, ..approval.clone() }, "denial_reason"),
        (DecisionStatement { user_verification: 0, ..approval.clone() }, "user_verification"),
        (DecisionStatement { user_verification: 5, ..approval.clone() }, "user_verification"),
        (DecisionStatement { decided_at: None, ..approval }, "decided_at"),
        (DecisionStatement { denial_reason: 0, ..denial.clone() }, "denial_reason"),
        (DecisionStatement { denial_reason: 3, ..denial.clone() }, "denial_reason"),
        (DecisionStatement { match_code: "123".to_owned(), ..denial.clone() }, "match_code"),
        (DecisionStatement { user_verification: 1, ..denial.clone() }, "user_verification"),
    ] {
        // Told before anybody looks whether there is such a challenge.
        let unknown = RespondRequest { challenge_id: "chl_0".to_owned(), ..device.answer(&faulty) };
        refused_field(device.send(unknown).await, field);
        refused_field(device.respond(&faulty).await, field);
    }
    let id = &scene.asked.challenge_id;
    assert_eq!(scene.backend.state(id).await.state(), ChallengeState::Pending);
    assert!(device.respond(&denial).await.expect("denying needs no code").accepted);
}

#[tokio::test]
async fn a_decision_about_one_challenge_settles_no_other() {
    let scene = scene().await;
    let policy = countersign_domain::policy::Policy {
        max_pending_challenges: 2,
        ..countersign_domain::policy::Policy::default()
    };
    let backend = scene.world.backend_with("Bank", policy).await;
    let device = scene.world.enroll_by_hand(&backend, "anna", 2).await;
    let (first, code) = backend.create("anna", "attempt-1").await;
    let (second, _) = backend.create("anna", "attempt-2").await;
    let asked = device.challenge(&scene.world, &first.challenge_id).await.expect("it was asked");
    let moved = RespondRequest {
        challenge_id: second.challenge_id.clone(),
        ..device.answer(&device.approval(&asked, &code))
    };
    refused(device.send(moved).await, ErrorReason::StatementMismatch);
    assert_eq!(backend.state(&second.challenge_id).await.state(), ChallengeState::Pending);
}
