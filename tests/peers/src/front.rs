//! Spreads calls over several servers, as a load balancer before them does: each goes to the next one, whoever
//! makes it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    serve::ListenerExt as _,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tower::{Service as _, ServiceExt as _};

/// What listens before the servers. It ends when dropped.
pub struct Front {
    address: SocketAddr,
    servers: Servers,
    serving: JoinHandle<()>,
}

/// The servers, the one that is next first; and how many calls each has had.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<Vec<(Channel, usize)>>>);

impl Front {
    /// Listens, before there are servers.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
        let servers = Servers::default();
        let router = Router::new().fallback(pass_on).with_state(servers.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, servers, serving }
    }

    /// Where the servers are found.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads to these from now on.
    pub fn lead_to(&self, servers: impl Iterator<Item = Endpoint>) {
        let channels = servers.map(|server| (server.connect_lazy(), 0)).collect();
        *self.servers.0.lock().expect("nobody panics while holding it") = channels;
    }

    /// How many calls each server has had, the one that is next first.
    pub fn calls(&self) -> Vec<usize> {
        let servers = self.servers.0.lock().expect("nobody panics while holding it");
        servers.iter().map(|(_, calls)| *calls).collect()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Servers {
    fn next(&self) -> Channel {
        let mut servers = self.0.lock().expect("nobody panics while holding it");
        let (next, calls) = &mut servers[0];
        *calls += 1;
        let next = next.clone();
        servers.rotate_left(1);
        next
    }
}

async fn pass_on(State(servers): State<Servers>, request: Request) -> Response {
    let mut server = servers.next();
    let answer = async { server.ready().await?.call(request.map(tonic::body::Body::new)).await };
    match answer.await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(error) => Status::from_error(error.into()).into_http(),
    }
}
