//! What an ACL user must be allowed (<https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>).

use std::{collections::BTreeSet, sync::Arc};

use countersign::{
    random::SystemRandom,
    store::{Wakeups as _, redis::RedisStore, wakeups::Wakeup},
};
use countersign_domain::id::UserTag;
use countersign_test_peers::{RedisServer, redis_or_skip};

use super::{listening::Heard, login::log_in};
use crate::fixture::{START, TestClock, USER, redis_config};

/// The commands, and nothing else. `countersign config` shows them.
const COMMANDS: &str = "+info +time +script|load +evalsha +get +mget +getrange +set +exists +hset +hgetall \
                        +pexpire +sadd +smembers +publish +subscribe";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_least_permissions_suffices() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let rules = format!("~countersign:* &countersign:server:* -@all {COMMANDS}");
    let options = RedisServer::options().clock(clock.of_redis()).user("countersign", "secret", &rules);
    let server = options.start().await.expect("a Redis server");
    let mut config = redis_config(&server.url());
    config.username = Some("countersign".into());
    config.password = Some("secret".into());
    let open = RedisStore::open(&config, Arc::new(SystemRandom)).await;
    wakes_and_logs_in(&Arc::new(open.expect("a store")), &clock).await;

    let shown = countersign::config::DEFAULT.replace('#', "");
    let shown: Vec<_> = shown.split_whitespace().collect();
    let commands: Vec<_> = COMMANDS.split_whitespace().collect();
    assert!(shown.windows(commands.len()).any(|words| words == commands), "they are not shown");
    // Each of them was used, so none can be left out.
    let allowed: BTreeSet<_> = COMMANDS.split_whitespace().map(|rule| rule[1..].to_owned()).collect();
    assert_eq!(used(&server).await, allowed);
}

/// A login, of which a listener hears.
async fn wakes_and_logs_in(store: &Arc<RedisStore>, clock: &TestClock) {
    let mut heard = Heard::by(store).await;
    store.watch(UserTag(USER)).await.expect("an answer");
    let ended = log_in(store, USER, 1, clock).await;
    assert_eq!(heard.next().await, Wakeup::Devices(UserTag(USER)), "it is new");
    assert_eq!(heard.next().await, Wakeup::Ended(ended));
}

/// Every command that was run on the server, also by scripts, but for what everybody may do.
async fn used(server: &RedisServer) -> BTreeSet<String> {
    let stats = server.command(&["INFO", "commandstats"]).await.expect("an answer").text().expect("text");
    let names = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    names.map(|(name, _)| name.to_owned()).filter(|name| name != "auth").collect()
}
