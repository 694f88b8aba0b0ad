//! Codes for the day when the device has no network.

use std::time::Duration;

use countersign_agent::{Error, Platform};
use countersign_proto::{common::TotpAlgorithm, time::UnixTime};

use crate::{
    script::DEVICE,
    server::{Stage, agent},
};

#[tokio::test]
async fn the_code_of_the_rfc_is_shown_without_asking_anybody() {
    let stage = Stage::new().await;
    let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
    let account = stage.agent.accept(&offer, "Laptop", Platform::Desktop).await.unwrap().account;
    // The end of the enrolment is answered without a secret: what is known stays.
    stage.server.script().totp = None;
    stage.agent.accept(&offer, "Laptop", Platform::Desktop).await.unwrap();
    stage.server.take_calls();
    // Another process, as after a restart.
    let again = agent(stage.directory.path(), &stage.clock).account(DEVICE).unwrap();
    for (seconds, expected, left) in
        [(59, "94287082", 1), (1_111_111_109, "07081804", 1), (1_234_567_890, "89005924", 30)]
    {
        stage.clock.set(UnixTime::from_millis(seconds * 1000));
        for account in [&account, &again] {
            let code = account.code().unwrap();
            assert_eq!((code.reveal(), code.time_left), (expected, Duration::from_secs(left)));
            assert!(!format!("{code:?}").contains(expected));
        }
    }
    assert_eq!(stage.server.take_calls(), [""; 0]);
}

#[tokio::test]
async fn an_account_without_a_secret_that_it_knows_has_no_codes() {
    for change in [0, 1, 2, 3] {
        let stage = Stage::new().await;
        {
            let mut script = stage.server.script();
            match (change, script.totp.as_mut()) {
                (1, Some(totp)) => totp.algorithm = TotpAlgorithm::Unspecified.into(),
                (2, Some(totp)) => totp.digits = 7,
                (3, Some(totp)) => totp.period = None,
                _ => script.totp = None,
            }
        }
        let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
        let account = stage.agent.accept(&offer, "Laptop", Platform::Desktop).await.unwrap().account;
        assert!(matches!(account.code(), Err(Error::NoCodes(device)) if device == DEVICE), "{change}");
    }
}
