//! Somebody else, on one connection that must stay as it is while others misbehave.

use std::{net::SocketAddr, sync::Arc};

use http::{Request, Response, header::HeaderMap};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};

use super::soon;

/// A `HealthCheckResponse` as it goes over the wire: five bytes of frame, then field 1 with the value 1.
pub(super) const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// An HTTP/2 client on one connection, from 127.0.0.2. It never connects again.
pub(super) struct Bystander {
    requests: http2::SendRequest<Full<bytes::Bytes>>,
    connection: JoinHandle<()>,
}

impl Bystander {
    pub(super) async fn connect(server: SocketAddr) -> Self {
        Self::over(connect_from([127, 0, 0, 2], server).await).await
    }

    pub(super) async fn connect_tls(server: SocketAddr, tls: rustls::ClientConfig) -> Self {
        let stream = connect_from([127, 0, 0, 2], server).await;
        let name = "localhost".try_into().expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        Self::over(soon(connector.connect(name, stream)).await.expect("a handshake")).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (requests, connection) = soon(handshake).await.expect("a handshake");
        // How it ends is seen in its calls.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { requests, connection }
    }

    /// Asks for the server's health, and is served on the connection that it always had.
    pub(super) async fn is_served(&mut self) {
        let answer = self.call("/grpc.health.v1.Health/Check", HeaderMap::new()).await;
        assert_eq!(answer.grpc_status(), Some(0));
        assert_eq!(answer.body, SERVING);
        assert!(!self.connection.is_finished());
    }

    /// Makes a gRPC call with an empty message.
    pub(super) async fn call(&mut self, path: &str, headers: HeaderMap) -> Answer {
        let response = soon(self.start(path, headers)).await.expect("an answer");
        Answer::read(response).await
    }

    /// Makes a gRPC call with an empty message, and leaves its answer to be read.
    pub(super) fn start(
        &mut self,
        path: &str,
        headers: HeaderMap,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<> {
        let message = Full::from(&[0, 0, 0, 0, 0][..]);
        let mut request = Request::post(format!("http://localhost{path}")).body(message).expect("sound");
        *request.headers_mut() = headers;
        request.headers_mut().insert("content-type", "application/grpc".parse().expect("sound"));
        request.headers_mut().insert("te", "trailers".parse().expect("sound"));
        self.requests.send_request(request)
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: bytes::Bytes,
    pub(super) trailers: HeaderMap,
}

impl Answer {
    pub(super) async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = soon(body.collect()).await.expect("a whole body");
        let trailers = body.trailers().cloned().unwrap_or_default();
        Self { headers: head.headers, body: body.to_bytes(), trailers }
    }

    /// From the trailers, or from the headers of an answer that has nothing else.
    pub(super) fn grpc_status(&self) -> Option<u32> {
        let status = self.trailers.get("grpc-status").or(self.headers.get("grpc-status"))?;
        status.to_str().ok()?.parse().ok()
    }

    /// The whole status with its details.
    pub(super) fn status(&self) -> Option<tonic::Status> {
        tonic::Status::from_header_map(&self.trailers)
            .or_else(|| tonic::Status::from_header_map(&self.headers))
    }
}

/// Connects from an address of the loopback's network.
pub(super) async fn connect_from(from: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((from, 0))).expect("a loopback address");
    let stream = soon(socket.connect(server)).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}
