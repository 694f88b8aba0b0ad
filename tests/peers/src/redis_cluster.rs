//! A real Redis Cluster.

use std::{io, time::Duration};

use tokio::time::{interval, timeout};

use crate::{
    ManualRedisClock,
    process::READY_WITHIN,
    redis_server::RedisServer,
    resp::{RespConnection, Value},
};

/// The number of hash slots of any cluster.
const SLOTS: usize = 16_384;

/// How long a node that has just started serves no slot (`CLUSTER_WRITABLE_DELAY` in `cluster.h`), and more.
const START_TAKES_MILLIS: i64 = 10_000;
/// How long a node under a manual clock may be silent: 20 days, more than any test moves the clock at once.
const SILENT_MILLIS: &str = "1728000000";

/// A cluster of masters without replicas, on the loopback interface. It is killed when dropped.
///
/// What a node holds of another comes from its time of day. Under a manual clock that stands still none is ever
/// missed, and a node that is started again serves nothing.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts `size` nodes that share the hash slots evenly, and waits until each takes the cluster for whole.
    /// That takes about two seconds: for so long a node that has just started serves no slot. Must be called
    /// inside a tokio runtime.
    pub async fn start(size: usize) -> io::Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..size {
            nodes.push(RedisServer::options().cluster().start().await?);
        }
        Self::of(nodes, || ()).await
    }

    /// [`Self::start`] under a clock, which is moved up to `millis` since the Unix epoch meanwhile, and stands
    /// there in the end.
    pub async fn start_under(clock: &ManualRedisClock, millis: i64, size: usize) -> io::Result<Self> {
        /// How far the clock moves between two looks at the nodes.
        const STEP_MILLIS: i64 = 100;
        let mut now = millis - START_TAKES_MILLIS;
        clock.set(now);
        let mut nodes = Vec::new();
        for _ in 0..size {
            let options = RedisServer::options().cluster().clock(clock);
            nodes.push(options.arg("cluster-node-timeout", SILENT_MILLIS).start().await?);
        }
        let cluster = Self::of(nodes, || {
            now = millis.min(now + STEP_MILLIS);
            clock.set(now);
        });
        let cluster = cluster.await?;
        clock.set(millis);
        Ok(cluster)
    }

    /// Makes a cluster of `nodes`; calls `between` before each look at them.
    async fn of(nodes: Vec<RedisServer>, between: impl FnMut()) -> io::Result<Self> {
        let cluster = Self { nodes };
        cluster.assign_slots().await?;
        cluster.introduce().await?;
        timeout(READY_WITHIN, cluster.whole(between)).await.map_err(io::Error::from)??;
        Ok(cluster)
    }

    /// Where each node listens.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The nodes, of which the first holds the lowest slots.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    async fn assign_slots(&self) -> io::Result<()> {
        let size = self.nodes.len();
        for (index, node) in self.nodes.iter().enumerate() {
            let first = (SLOTS * index / size).to_string();
            let last = (SLOTS * (index + 1) / size - 1).to_string();
            let mut connection = node.connect().await?;
            // Nodes with the same epoch would quarrel about slots.
            expect_ok(&mut connection, &["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]).await?;
            expect_ok(&mut connection, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?;
        }
        Ok(())
    }

    async fn introduce(&self) -> io::Result<()> {
        for node in &self.nodes {
            let mut connection = node.connect().await?;
            for other in self.nodes.iter().filter(|other| other.port() != node.port()) {
                let (port, bus_port) = (other.port().to_string(), other.bus_port().to_string());
                expect_ok(&mut connection, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]).await?;
            }
        }
        Ok(())
    }

    /// Returns when each node knows all, and that all slots are served. Redis tells nobody of that, so each
    /// is asked again and again.
    async fn whole(&self, mut between: impl FnMut()) -> io::Result<()> {
        let all = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            let mut connection = node.connect().await?;
            let mut pause = interval(Duration::from_millis(20));
            loop {
                pause.tick().await;
                between();
                let info = connection.command(&["CLUSTER", "INFO"]).await?.text().unwrap_or_default();
                if info.contains("cluster_state:ok") && info.contains(&all) {
                    break;
                }
            }
        }
        Ok(())
    }
}

async fn expect_ok(connection: &mut RespConnection, command: &[&str]) -> io::Result<()> {
    match connection.command(command).await? {
        Value::Simple(_) => Ok(()),
        other => Err(io::Error::other(format!("{command:?}: {other:?}"))),
    }
}
