//! The power goes while people log in.

use std::time::Duration;

use countersign_test_peers::{RedisServer, redis_or_skip};

use crate::{
    disk::Disk,
    killed::{begin_endless_rewrite, is_rewriting},
    ledger::{Ledger, Loss},
    load::{Load, Place},
    soon,
};

/// Acknowledgements before the power goes.
const ENOUGH: usize = 2_000;
/// For how long is written where Redis syncs once a second.
const SOME_SECONDS: Duration = Duration::from_secs(6);
/// What Redis may lose where it syncs once a second: that second, and what was written while it synced, for
/// which a slow disk may take its time.
const LAST_SECONDS: Duration = Duration::from_secs(4);

fn enough(ledger: &Ledger) -> bool {
    ledger.len() >= ENOUGH
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_loses_nothing_of_the_embedded_store() {
    let Some(disk) = Disk::new_or_skip() else { return };
    let mut load = Load::start(&Place::in_directory(disk.path()));
    load.until(enough).await;
    load.stop().await;
    let found = disk.after_power_loss();
    let ledger = load.killed().await;
    let store = Place::in_directory(found.path()).open().await;
    ledger.compare(&store).await.is_none("embedded, power lost");
}

/// A Redis whose data are on a disk of its own.
struct RedisOnDisk {
    // Declared before the disk, so that it ends first.
    redis: RedisServer,
    disk: Disk,
}

impl RedisOnDisk {
    async fn start(directives: &[(&str, &str)]) -> Option<Self> {
        if !redis_or_skip() {
            return None;
        }
        let disk = Disk::new_or_skip()?;
        Some(Self { redis: Self::serve(&disk, directives).await, disk })
    }

    async fn serve(disk: &Disk, directives: &[(&str, &str)]) -> RedisServer {
        let options = RedisServer::options().directory(disk.path());
        let options = directives.iter().fold(options, |options, (name, value)| options.arg(name, value));
        soon(options.start()).await.expect("it starts")
    }

    /// What is there after the power went, once `load` has heard all that it was told before.
    async fn after_power_loss(self, load: Load, directives: &[(&str, &str)]) -> (Ledger, Self) {
        // Standing still it writes nothing more, and no sync of it is under way.
        soon(self.redis.stop_signal()).await.expect("it stops");
        let disk = self.disk.after_power_loss();
        let ledger = load.ended().await;
        (ledger, Self { redis: Self::serve(&disk, directives).await, disk })
    }

    async fn lose(appendfsync: &str, enough: impl Fn(&Ledger) -> bool) -> Option<Loss> {
        let directives = [("appendfsync", appendfsync)];
        let on_disk = Self::start(&directives).await?;
        let mut load = Load::start(&Place::in_redis(&on_disk.redis));
        load.until(enough).await;
        let (ledger, found) = on_disk.after_power_loss(load, &directives).await;
        Some(ledger.compare(&Place::in_redis(&found.redis).open().await).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_loses_nothing_with_appendfsync_always() {
    let Some(loss) = RedisOnDisk::lose("always", enough).await else { return };
    loss.is_none("Redis with appendfsync always, power lost");
}

/// What is lost with appendfsync always and this setting, when the power goes during a rewrite of the file.
async fn lose_while_rewriting(no_appendfsync_on_rewrite: &str) -> Option<Loss> {
    let directives = [("appendfsync", "always"), ("no-appendfsync-on-rewrite", no_appendfsync_on_rewrite)];
    let on_disk = RedisOnDisk::start(&directives).await?;
    let mut load = Load::start(&Place::in_redis(&on_disk.redis));
    load.until(enough).await;
    begin_endless_rewrite(&on_disk.redis).await;
    load.until(|ledger| ledger.len() >= 2 * ENOUGH).await;
    assert!(is_rewriting(&on_disk.redis).await);
    let (ledger, found) = on_disk.after_power_loss(load, &directives).await;
    Some(ledger.compare(&Place::in_redis(&found.redis).open().await).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_while_redis_rewrites_its_file_loses_nothing_with_appendfsync_always() {
    let Some(loss) = lose_while_rewriting("no").await else { return };
    loss.is_none("Redis with appendfsync always, power lost while it rewrites its file");
}

/// Why docs/durability.md warns of this setting.
#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_while_redis_rewrites_its_file_loses_what_no_appendfsync_on_rewrite_left_out() {
    let Some(loss) = lose_while_rewriting("yes").await else { return };
    loss.print(
        "Redis with appendfsync always and no-appendfsync-on-rewrite yes, power lost while it rewrites",
    );
    assert!(!loss.lost.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_loses_the_last_seconds_with_appendfsync_everysec() {
    let goes_on = |ledger: &Ledger| ledger.has_gone_on_for(SOME_SECONDS);
    let Some(loss) = RedisOnDisk::lose("everysec", goes_on).await else { return };
    loss.print("Redis with appendfsync everysec, power lost");
    assert!(loss.age() < LAST_SECONDS, "{:?}", loss.age());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_loses_what_it_may_with_appendfsync_no() {
    let Some(loss) = RedisOnDisk::lose("no", enough).await else { return };
    loss.print("Redis with appendfsync no, power lost");
    // Nobody called for a sync: were nothing lost, this disk would not lose what a power cut does.
    assert!(!loss.lost.is_empty());
}
