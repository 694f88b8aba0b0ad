//! This machine's clock beside Redis', a provider's, and what was written.

use std::{fs::File, time::Duration};

use countersign::{
    clock::{Clock as _, SystemClock},
    doctor::Severity::{Problem, Warning},
};
use countersign_test_peers::{ManualRedisClock, RedisOptions, redis_or_skip};

use super::{Patient, assert_one};

#[tokio::test]
async fn redis_clock_is_compared_to_the_second() {
    if !redis_or_skip() {
        return;
    }
    let now = SystemClock.now();
    let clock = ManualRedisClock::new(now.as_millis()).expect("a C compiler");
    let redis = RedisOptions::default().clock(&clock).arg("appendfsync", "always").start().await;
    let redis = redis.expect("it starts");
    let patient = Patient::new("").await;
    patient.configure(&format!("[redis]\nurl = {:?}\n", redis.url()));
    assert_eq!(patient.findings_at(now).await, []);
    for (millis, found) in
        [(1_000, None), (1_001, Some(Warning)), (2_000, Some(Warning)), (2_001, Some(Problem))]
    {
        let apart = Duration::from_millis(millis);
        for own in [now.plus(apart), now.minus(apart)] {
            let findings = patient.findings_at(own).await;
            match found {
                None => assert_eq!(findings, []),
                Some(severity) => {
                    let what = format!("this machine's clock says {own}, Redis' says {now}");
                    assert_one(&findings, "clock", severity, &what, "timedatectl set-ntp true");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_database_of_tomorrow_tells_that_the_clock_is_behind() {
    let patient = Patient::new("").await;
    let now = SystemClock.now();
    let tomorrow = std::time::UNIX_EPOCH
        + Duration::from_millis(u64::try_from(now.as_millis()).expect("after 1970"))
        + Duration::from_hours(24);
    let database = File::options().append(true).open(patient.place.path("data/countersign.sqlite"));
    database.expect("it is there").set_modified(tomorrow).expect("it is ours");
    let what = format!("countersign.sqlite was written at {}", now.plus(Duration::from_hours(24)));
    assert_one(&patient.findings_at(now).await, "clock", Problem, &what, "NTP");
}
