//! A connection that says GOAWAY to its first request: by hand, because an HTTP/2 library counts a request
//! that it has read as processed.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// RFC 9113, section 3.4.
const PREFACE: usize = 24;
/// RFC 9113, section 4.1.
const FRAME_HEADER: usize = 9;
/// Its type.
const HEADERS: u8 = 1;
/// An empty SETTINGS frame.
const SETTINGS: [u8; FRAME_HEADER] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// A GOAWAY frame: last stream 0, `NO_ERROR`.
const GOAWAY: [u8; FRAME_HEADER + 8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Reads up to the first request, says that none was processed, and waits for the peer to go.
pub(super) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(&SETTINGS).await?;
    stream.flush().await?;
    stream.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut header = [0; FRAME_HEADER];
        stream.read_exact(&mut header).await?;
        let [a, b, c, kind, ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        if kind == HEADERS {
            break;
        }
    }
    stream.write_all(&GOAWAY).await?;
    stream.flush().await?;
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}
