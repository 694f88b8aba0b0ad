//! The recovery code: how it is issued.

use countersign_domain::recovery_code::RecoveryCode;
use countersign_proto::common::{ErrorReason, FactorType};

use super::{approved, asking_to_manage};
use crate::world::{World, refused};

#[tokio::test]
async fn a_recovery_code_is_shown_once_with_a_sheet_and_replaced_by_the_next() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    refused(backend.issue("anna", None).await, ErrorReason::StepUpRequired);
    // An operator's permission is for an enrolment.
    backend.allow_enrollment("anna").await;
    refused(backend.issue("anna", None).await, ErrorReason::StepUpRequired);
    let mut shown = Vec::new();
    for attempt in ["attempt-1", "attempt-2"] {
        let approval = approved(&world, &backend, &device, asking_to_manage("anna", attempt)).await;
        let issued = backend.issue("anna", Some(approval.clone())).await.expect("it is issued");
        let code: RecoveryCode = issued.recovery_code.parse().expect("its checksum is right");
        assert_eq!(issued.recovery_code, code.reveal_in_groups());
        let groups: Vec<_> = issued.recovery_code.split('-').collect();
        assert_eq!((groups.len(), groups.iter().all(|group| group.len() == 4)), (16, true));
        for part in
            ["Shop", "anna@example.org", "2027-01-15", &groups[..4].join(" "), &groups[12..].join(" ")]
        {
            assert!(issued.text.contains(part), "{part}: {}", issued.text);
        }
        // Good for one.
        refused(backend.issue("anna", Some(approval)).await, ErrorReason::StepUpRequired);
        let factors = backend.user("anna").await.factors;
        let codes: Vec<_> =
            factors.iter().filter(|factor| factor.r#type() == FactorType::RecoveryCode).collect();
        assert_eq!(codes.len(), 1);
        assert!(codes[0].factor_id.starts_with("rec_"));
        shown.push((issued.recovery_code, codes[0].factor_id.clone()));
    }
    assert!(shown[0].0 != shown[1].0 && shown[0].1 != shown[1].1);
    // What is kept is neither the code nor anything like it.
    for file in ["countersign.sqlite", "countersign.sqlite-wal"] {
        let bytes = std::fs::read(world.directory.path().join("data").join(file)).expect("it is there");
        let plain = shown[1].0.replace('-', "");
        assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{file}");
    }
    backend.revoke("anna", &shown[1].1).await.expect("it is Anna's");
    assert_eq!(backend.user("anna").await.factors.len(), 1);
}

#[tokio::test]
async fn a_recovery_code_as_the_first_factor_ends_the_enrolment_that_is_open() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let open = backend.start_enrollment("anna").await.enrollment.expect("an enrolment").enrollment_id;
    let issued = backend.issue("anna", None).await.expect("there was no factor");
    assert!(issued.text.contains("Account: anna\n"), "{}", issued.text);
    let state = backend.enrollment(&open).await.state();
    assert_eq!(state, countersign_proto::login::EnrollmentState::Superseded);
    refused(backend.issue("anna", None).await, ErrorReason::StepUpRequired);
}
