//! What a provider's server answered, before anybody says what it means.

use std::time::Duration;

use chrono::DateTime;
use countersign_proto::time::UnixTime;
use http::{
    HeaderMap, StatusCode,
    header::{DATE, RETRY_AFTER},
};
use reqwest::Response;

/// One answer, as far as it counts.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    /// Empty if it broke off or is too long.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Providers' bodies take below 2 KiB: what is longer is none of theirs, and is not read.
    const LONGEST_BODY: usize = 16 * 1024;

    /// Reads `response`.
    pub(super) async fn read(mut response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= Self::LONGEST_BODY => {
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => {
                    body.clear();
                    break;
                }
            }
        }
        Self { status, headers, body }
    }

    /// The provider's clock, if it tells it.
    pub(super) fn date(&self) -> Option<UnixTime> {
        let date = DateTime::parse_from_rfc2822(self.headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(UnixTime::from_millis(date.timestamp_millis()))
    }

    /// How long the provider asks to be left alone. RFC 9110, section 10.2.3: seconds, or a date.
    pub(super) fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = DateTime::parse_from_rfc2822(value).ok()?;
        Some(UnixTime::from_millis(date.timestamp_millis()).since(now))
    }
}

/// Whether `text` may stand in a log as a provider's word for a reason: 1 to 64 letters, digits and underscores.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
