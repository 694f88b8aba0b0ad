//! What is logged at trace level on a test's own thread, which is all of a `#[tokio::test]`.
//!
//! The subscriber is the whole process': with one for a thread, tracing would remember of an event that
//! another thread met first that nobody wants it.

use std::{cell::RefCell, io, sync::Once};

use tracing_subscriber::{
    Layer as _, filter::dynamic_filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

thread_local! {
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Captures until it is dropped.
pub(crate) struct CapturedLog(());

impl CapturedLog {
    pub(crate) fn start() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            // Asked each time: what other threads log is not put into words only to be thrown away.
            let is_wanted = dynamic_filter_fn(|_, _| CAPTURED.with_borrow(Option::is_some));
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Writer);
            tracing_subscriber::registry().with(layer.with_filter(is_wanted)).init();
        });
        CAPTURED.set(Some(Vec::new()));
        Self(())
    }

    /// What was logged so far.
    #[expect(clippy::unused_self, reason = "there is something to read only as long as it lives")]
    pub(crate) fn text(&self) -> String {
        let bytes = CAPTURED.with_borrow(|captured| captured.clone().unwrap_or_default());
        String::from_utf8(bytes).expect("logs are UTF-8")
    }
}

impl Drop for CapturedLog {
    fn drop(&mut self) {
        CAPTURED.set(None);
    }
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CAPTURED.with_borrow_mut(|captured| {
            if let Some(captured) = captured {
                captured.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
