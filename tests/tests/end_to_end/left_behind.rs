//! Challenges of the time before they moved to Redis lie in the data directory, with addresses and names in them.

use std::time::Duration;

use countersign_domain::challenge::READABLE_AFTER_EXPIRY;
use rusqlite::params;

use crate::world::{START, World};

const UPKEEP: Duration = Duration::from_mins(1);

fn left(world: &World) -> i64 {
    let count = "SELECT (SELECT count(*) FROM challenges) + (SELECT count(*) FROM users)";
    world.database().query_row(count, [], |row| row.get(0)).expect("a number")
}

#[tokio::test]
async fn they_are_forgotten_once_they_can_be_read_no_more() {
    let world = World::start().await;
    if world.shared.is_none() {
        return;
    }
    world.each_asleep_until(START.plus(UPKEEP)).await;
    let until = START.plus(READABLE_AFTER_EXPIRY);
    let database = world.database();
    let challenge = "INSERT INTO challenges (id, readable_until, record) VALUES (?1, ?2, x'01')";
    assert_eq!(database.execute(challenge, params![[7_u8; 16], until.as_millis()]), Ok(1));
    let user = "INSERT INTO users (tag, keep_until, record) VALUES (7, ?1, x'01')";
    assert_eq!(database.execute(user, [until.as_millis()]), Ok(1));

    world.clock.set(START.plus(UPKEEP));
    world.each_asleep_until(START.plus(2 * UPKEEP)).await;
    assert_eq!(left(&world), 2, "they may still be needed, should the challenges move back");
    world.clock.set(until);
    world.each_asleep_until(until.plus(UPKEEP)).await;
    assert_eq!(left(&world), 0);
}
