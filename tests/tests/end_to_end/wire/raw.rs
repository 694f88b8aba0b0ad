//! A client that keeps no rule: bytes, and HTTP/2 frames written by hand.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::soon;

/// Frame types of RFC 9113, section 6.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
}

/// Flags of RFC 9113, section 6.
pub(super) mod flag {
    pub(in super::super) const END_STREAM: u8 = 1;
    pub(in super::super) const ACK: u8 = 1;
    pub(in super::super) const END_HEADERS: u8 = 4;
}

/// What an HTTP/2 client says first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One HTTP/2 frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self { kind, flags, stream, payload: payload.to_vec() }
    }

    /// The head of a gRPC call.
    pub(super) fn call(stream: u32, flags: u8, path: &str) -> Self {
        Self::new(kind::HEADERS, flag::END_HEADERS | flags, stream, &grpc_head(path))
    }

    /// The error code of `RST_STREAM` and `GOAWAY`.
    pub(super) fn error_code(&self) -> u32 {
        let start = if self.kind == kind::GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[start..start + 4].try_into().expect("four bytes"))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("small");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A connection to do anything on.
pub(super) struct Raw(pub(super) TcpStream);

impl Raw {
    pub(super) async fn connect(server: SocketAddr) -> Self {
        Self(soon(TcpStream::connect(server)).await.expect("the server listens"))
    }

    /// Connects, and says the preface and empty settings.
    pub(super) async fn connect_http2(server: SocketAddr) -> Self {
        let mut raw = Self::connect(server).await;
        raw.send(PREFACE).await;
        raw.send_frame(&Frame::new(kind::SETTINGS, 0, 0, &[])).await;
        raw
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the server reads");
    }

    pub(super) async fn send_frame(&mut self, frame: &Frame) {
        self.send(&frame.bytes()).await;
    }

    /// Everything that comes until the server ends the connection, by FIN or by RST.
    pub(super) async fn until_ended(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset has kept what was read before it.
        let _ = soon(self.0.read_to_end(&mut bytes)).await;
        bytes
    }

    /// The same as text.
    pub(super) async fn text_until_ended(&mut self) -> String {
        String::from_utf8_lossy(&self.until_ended().await).into_owned()
    }

    /// The next frame; `None` once the server has ended the connection.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon(self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        let mut payload = vec![0; usize::try_from(length).expect("small")];
        soon(self.0.read_exact(&mut payload)).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of a kind; others are passed over, and pings answered.
    pub(super) async fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection lives");
            if frame.kind == kind {
                return frame;
            }
            self.answer_ping(&frame).await;
        }
    }

    /// Reads until the server ends the connection, answering its pings.
    pub(super) async fn frames_until_ended(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            self.answer_ping(&frame).await;
            frames.push(frame);
        }
        frames
    }

    async fn answer_ping(&mut self, frame: &Frame) {
        if frame.kind == kind::PING && frame.flags & flag::ACK == 0 {
            // The server may have gone meanwhile, which the next read shows.
            let _ = self.0.write_all(&Frame::new(kind::PING, flag::ACK, 0, &frame.payload).bytes()).await;
        }
    }
}

/// The head of a gRPC call in HPACK, without Huffman and without the dynamic table.
fn grpc_head(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` of the static table.
    let mut head = vec![0x83, 0x86];
    for (name, value) in [(&[0x01][..], "localhost"), (&[0x04], path), (&[0x0f, 0x10], "application/grpc")] {
        head.extend(name);
        head.push(u8::try_from(value.len()).expect("short"));
        head.extend(value.as_bytes());
    }
    head.extend(b"\x00\x02te\x08trailers");
    head
}
