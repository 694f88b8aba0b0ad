//! Reading strace's output.

use countersign_proto::{statement::ChallengeStatement, statement_form::Statement as _};
use data_encoding::HEXLOWER;

/// What matters of a trace, in order.
pub(super) enum Event {
    /// A challenge's record was written to the log: at the latest, now.
    ChallengeWritten,
    /// The log was synced: this has ended.
    LogSynced,
    /// An answer is being written to a socket: this begins.
    Answered,
}

/// The events of a trace that was made with `-f -y -x`. A call that another thread interrupts stands in two
/// lines, `<unfinished ...>` and `<... resumed>`, of which only the first names the file.
pub(super) fn events(trace: &str) -> impl Iterator<Item = Event> {
    let mut syncing: Option<&str> = None;
    trace.lines().filter_map(move |line| {
        let (thread, call) = line.split_once(' ')?;
        let call = call.trim_start();
        let is_log = call.contains("countersign.sqlite-wal>");
        if call.starts_with("pwrite64(") && is_log {
            return holds_challenge(&bytes(call)).then_some(Event::ChallengeWritten);
        }
        if is_socket_write(call) && begins_answer(&bytes(call)) {
            return Some(Event::Answered);
        }
        let begins = call.starts_with("fdatasync(") && is_log;
        if begins && call.ends_with("<unfinished ...>") {
            syncing = Some(thread);
            return None;
        }
        let resumes =
            call.starts_with("<... fdatasync resumed>") && syncing.take_if(|t| *t == thread).is_some();
        ((begins || resumes) && call.ends_with("= 0")).then_some(Event::LogSynced)
    })
}

/// Whether a page holds a signed challenge, which stands in each record of one. Others are written for
/// information only (when a device was last used, say), and no answer waits for them.
fn holds_challenge(page: &[u8]) -> bool {
    let signed = ChallengeStatement::PAYLOAD_TYPE.as_bytes();
    page.windows(signed.len()).any(|window| window == signed)
}

fn is_socket_write(call: &str) -> bool {
    let writes = ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|name| call.starts_with(name));
    writes && (call.contains("<socket:[") || call.contains("<TCP:["))
}

/// All that stands in quotation marks as `\x00\x01...`, which is every text with a byte that is not ASCII.
fn bytes(call: &str) -> Vec<u8> {
    let quoted = call.split('"').skip(1).step_by(2).filter(|text| text.starts_with("\\x"));
    let hex: String = quoted.flat_map(|text| text.chars().filter(|c| !matches!(c, '\\' | 'x'))).collect();
    HEXLOWER.decode(hex.as_bytes()).expect("strace was told to write hex")
}

/// Whether there is a frame with the head of an answer (HEADERS of RFC 9113, section 6.2) that has not the end of
/// the stream with it: those are trailers.
fn begins_answer(mut bytes: &[u8]) -> bool {
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes {
        if *kind == HEADERS && flags & END_STREAM == 0 {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    false
}
