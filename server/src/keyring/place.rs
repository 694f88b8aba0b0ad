//! Where a protected value lies.

/// The one row and column that a tag or a sealed value belongs to. At any other place it is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Table and column, such as `server_key.private_key`.
    pub kind: &'static str,
    /// Id of the application; empty for what belongs to the whole installation.
    pub application_id: &'a str,
    /// The application's id of the user; empty for what belongs to the whole application.
    pub user_id: &'a str,
    /// The row's own id.
    pub row_id: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn parts(self) -> [&'a [u8]; 4] {
        [self.kind, self.application_id, self.user_id, self.row_id].map(str::as_bytes)
    }
}

/// The length that is written before each part, so that no two lists of parts make the same bytes.
pub(super) fn length_prefix(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).expect("a length fits into 64 bits").to_be_bytes()
}
