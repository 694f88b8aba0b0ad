//! Where one request ends and the next begins.

/// What has come of a client's stream and has not been handed on.
#[derive(Default)]
pub(super) struct Requests {
    bytes: Vec<u8>,
    /// What came is no RESP, such as TLS: nothing is known of its requests.
    opaque: bool,
}

impl Requests {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn are_opaque(&self) -> bool {
        self.opaque
    }

    /// The next whole request; of a stream that is no RESP, whatever there is.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let length = if self.opaque { Length::Opaque } else { first_request(&self.bytes) };
        let length = match length {
            Length::Whole(length) => length,
            Length::Incomplete => return None,
            Length::Opaque => {
                self.opaque = true;
                self.bytes.len()
            }
        };
        (length > 0).then(|| self.bytes.drain(..length).collect())
    }
}

enum Length {
    Whole(usize),
    Incomplete,
    Opaque,
}

/// A request is an array of bulk strings: `*2\r\n$3\r\nGET\r\n$1\r\na\r\n`.
fn first_request(bytes: &[u8]) -> Length {
    let (count, mut at) = match header(bytes, b'*') {
        Ok(Some(header)) => header,
        Ok(None) => return Length::Incomplete,
        Err(NotResp) => return Length::Opaque,
    };
    for _ in 0..count {
        match header(&bytes[at..], b'$') {
            Ok(Some((length, header))) => at += header + length + 2,
            Ok(None) => return Length::Incomplete,
            Err(NotResp) => return Length::Opaque,
        }
        if at > bytes.len() {
            return Length::Incomplete;
        }
    }
    Length::Whole(at)
}

struct NotResp;

/// The number in a line such as `*2\r\n`, and the line's length; none while the line is not whole.
fn header(bytes: &[u8], kind: u8) -> Result<Option<(usize, usize)>, NotResp> {
    match bytes.first() {
        None => return Ok(None),
        Some(first) if *first != kind => return Err(NotResp),
        Some(_) => {}
    }
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let number = str::from_utf8(&bytes[1..end]).ok().and_then(|digits| digits.parse().ok()).ok_or(NotResp)?;
    Ok(Some((number, end + 2)))
}
