use countersign_test_peers::{RedisCluster, Value, redis_or_skip};

use crate::{ok, soon};

#[tokio::test]
async fn a_cluster_serves_each_key_on_one_node_and_names_it_on_the_others() {
    if !redis_or_skip() {
        return;
    }
    let cluster = soon(RedisCluster::start(3)).await.expect("it starts");
    assert_eq!(cluster.urls().len(), 3);
    // The slot of `key` is 12539, of the last third.
    let mut answers = Vec::new();
    for node in cluster.nodes() {
        answers.push(node.command(&["SET", "key", "value"]).await.expect("it answers"));
    }
    let moved = Value::Error(format!("MOVED 12539 127.0.0.1:{}", cluster.nodes()[2].port()));
    assert_eq!(answers, [moved.clone(), moved, ok()]);
}
