//! Reading strace's output.

/// What matters of a trace, in order.
pub(super) enum Event {
    /// Something was written to the log: at the latest, now.
    LogWritten,
    /// The log was synced: this has ended.
    LogSynced,
    /// An answer is being written: this begins.
    Answered,
}

/// The events of a trace that was made with `-f -y`. A call that another thread interrupts stands in two lines,
/// `<unfinished ...>` and `<... resumed>`, of which only the first names the file.
pub(super) fn events(trace: &str) -> impl Iterator<Item = Event> {
    let mut syncing: Option<&str> = None;
    trace.lines().filter_map(move |line| {
        let (thread, call) = line.split_once(' ')?;
        let call = call.trim_start();
        let is_log = call.contains("countersign.sqlite-wal>");
        if call.starts_with("write(") && call.contains("\"answer: ") {
            return Some(Event::Answered);
        }
        if call.starts_with("pwrite64(") && is_log {
            return Some(Event::LogWritten);
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
