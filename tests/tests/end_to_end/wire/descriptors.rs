//! A process that has run out of file descriptors.

use std::{env, iter, process::Stdio};

use countersign::wire::Limits;
use tokio::{net::TcpSocket, process::Command};

use super::{PATIENCE, bystander::Bystander, raw::Raw, running::Running, soon};

/// Tells the test that it runs in a process of its own, which may have few descriptors.
const FEW: &str = "COUNTERSIGN_TEST_FEW_DESCRIPTORS";
const NAME: &str = "suite::wire::descriptors::without_descriptors_the_server_goes_on_and_recovers";

#[tokio::test]
async fn without_descriptors_the_server_goes_on_and_recovers() {
    if env::var_os(FEW).is_some() {
        return run_out_and_recover().await;
    }
    // The limit is one of the process, so other tests must not be in it.
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(env::current_exe().expect("this program"))
        .arg(NAME)
        .env(FEW, "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(2 * PATIENCE, child).await.expect("in time").expect("it ran");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

async fn run_out_and_recover() {
    let server = Running::start(Limits::default()).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    // Sockets of ours take every descriptor there is, so that the server gets none to accept with; the
    // kernel connects them all the same.
    let sockets: Vec<_> = iter::from_fn(|| TcpSocket::new_v4().ok()).collect();
    assert!(sockets.len() > 10);
    let mut held = Vec::new();
    for socket in sockets {
        held.push(soon(socket.connect(server.address)).await.expect("the kernel connects"));
        bystander.is_served().await;
    }
    // The last one waits to be accepted: there is no descriptor for it until others are given back.
    let mut last = Raw(held.pop().expect("many"));
    drop(held);
    last.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(soon(last.text_until_ended()).await.ends_with("hello\n"));
    bystander.is_served().await;
}
