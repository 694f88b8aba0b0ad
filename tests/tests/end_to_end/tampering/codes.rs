//! Secrets and tags of codes that are moved to another user.

use countersign_proto::{common::ErrorReason, login::CodeResult};

use super::super::codes::WithCodes;
use crate::world::{World, at, refused};

#[tokio::test]
async fn a_totp_secret_that_was_moved_to_another_user_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let anna = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let mallory = WithCodes::enroll(&world, &backend, "mallory", 2).await;
    let (challenge, _) = backend.create("anna", "one").await;
    let id = challenge.challenge_id.as_str();
    let secret_of_anna: Vec<u8> = world
        .database()
        .query_row("SELECT secret FROM totp_secrets WHERE user_id = 'anna'", [], |row| row.get(0))
        .expect("there is one");

    // In the place of Anna's own: as it opens nowhere, nothing can be said of any code.
    let copied =
        "UPDATE totp_secrets SET secret = (SELECT secret FROM totp_secrets WHERE user_id = 'mallory')
        WHERE user_id = 'anna'";
    assert_eq!(world.database().execute(copied, []), Ok(1));
    refused(backend.verify(id, &mallory.code(at(0))).await, ErrorReason::StoreUnavailable);
    let restored = "UPDATE totp_secrets SET secret = ?1 WHERE user_id = 'anna'";
    assert_eq!(world.database().execute(restored, [secret_of_anna]), Ok(1));
    // Beside Anna's own.
    let moved = "UPDATE totp_secrets SET user_id = 'anna' WHERE user_id = 'mallory'";
    assert_eq!(world.database().execute(moved, []), Ok(1));
    refused(backend.verify(id, &mallory.code(at(0))).await, ErrorReason::StoreUnavailable);
    let moved_back = "UPDATE totp_secrets SET user_id = 'mallory' WHERE sequence = 2";
    assert_eq!(world.database().execute(moved_back, []), Ok(1));

    let (result, pending) = backend.verify(id, &mallory.code(at(0))).await.expect("an answer");
    assert_eq!((result, pending.code_tries_left), (CodeResult::Wrong, 4));
    let (result, _) = backend.verify(id, &anna.code(at(0))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
}

#[tokio::test]
async fn a_recovery_code_that_was_moved_to_another_user_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let [annas, mallorys] = ["anna", "mallory"].map(|user| backend.issue(user, None));
    let annas = annas.await.expect("it is issued").recovery_code;
    let mallorys = mallorys.await.expect("it is issued").recovery_code;
    let (challenge, _) = backend.create("anna", "one").await;
    let id = challenge.challenge_id.as_str();
    let tag_of_anna: Vec<u8> = world
        .database()
        .query_row("SELECT tag FROM recovery_codes WHERE user_id = 'anna'", [], |row| row.get(0))
        .expect("there is one");
    // The tag in the place of Anna's.
    let copied = "UPDATE recovery_codes SET tag = (SELECT tag FROM recovery_codes WHERE user_id = 'mallory')
        WHERE user_id = 'anna'";
    assert_eq!(world.database().execute(copied, []), Ok(1));
    for (code, tries_left) in [(&mallorys, 4), (&annas, 3)] {
        let (result, pending) = backend.verify(id, code).await.expect("an answer");
        assert_eq!((result, pending.code_tries_left), (CodeResult::Wrong, tries_left));
    }
    // The whole row, while Anna's is another's.
    let swapped =
        "UPDATE recovery_codes SET user_id = CASE user_id WHEN 'anna' THEN 'nobody' ELSE 'anna' END";
    assert_eq!(world.database().execute(swapped, []), Ok(2));
    let (result, pending) = backend.verify(id, &mallorys).await.expect("an answer");
    assert_eq!((result, pending.code_tries_left), (CodeResult::Wrong, 2));

    for restored in [
        "UPDATE recovery_codes SET user_id = 'mallory' WHERE user_id = 'anna'",
        "UPDATE recovery_codes SET user_id = 'anna' WHERE user_id = 'nobody'",
    ] {
        assert_eq!(world.database().execute(restored, []), Ok(1));
    }
    let restored = "UPDATE recovery_codes SET tag = ?1 WHERE user_id = 'anna'";
    assert_eq!(world.database().execute(restored, [tag_of_anna]), Ok(1));
    let (result, _) = backend.verify(id, &annas).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
}
