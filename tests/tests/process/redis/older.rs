//! What answers `INFO` as an older Redis does, which nobody has at hand.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Listens until it is dropped.
pub(super) struct OlderRedis {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl OlderRedis {
    pub(super) async fn start(version: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let info = format!(
            "# Server\r\nredis_version:{version}\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master\r\n"
        );
        let reply = format!("${}\r\n{info}\r\n", info.len());
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, reply.clone()));
            }
        });
        Self { address, serving }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for OlderRedis {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads up to the first `INFO`, answers it, and says nothing more until the other side goes.
async fn answer(mut stream: TcpStream, reply: String) {
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.is_ok_and(|bytes| bytes > 0) {
        if read.windows(4).any(|word| word == b"INFO") {
            read.clear();
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
