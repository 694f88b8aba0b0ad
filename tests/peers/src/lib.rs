//! Real peers that tests start, on loopback: Redis, under a clock that the test moves if it wishes; a TCP proxy
//! that fails on order; and what spreads calls over several servers.

mod availability;
mod faulty_proxy;
mod front;
mod manual_redis_clock;
mod process;
mod redis_cluster;
mod redis_server;
mod resp;

pub use availability::{oathtool_or_skip, redis_or_skip};
pub use faulty_proxy::{FaultyProxy, LostReply};
pub use front::Front;
pub use manual_redis_clock::ManualRedisClock;
pub use process::stop as stop_process;
pub use redis_cluster::RedisCluster;
pub use redis_server::{RedisOptions, RedisServer};
pub use resp::{RespConnection, Value};
