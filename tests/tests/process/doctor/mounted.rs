//! A small file system in memory, mounted for a test.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A file system of a few MiB. It is gone when dropped.
pub(super) struct Mounted {
    at: PathBuf,
    _directory: TempDir,
}

impl Mounted {
    /// Mounts one. None where nothing can be mounted: this has then said so on standard error. With a non-empty `CI` in
    /// the environment it panics instead.
    pub(super) fn new_or_skip(mebibytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = directory.path().join("mounted");
        std::fs::create_dir(&at).expect("a directory");
        let size = format!("size={mebibytes}m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "countersign-test"]).arg(&at).stdin(Stdio::null());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self { at, _directory: directory }),
            failed => {
                let message = format!("nothing can be mounted, so a full disk is NOT tested: {failed:?}\n");
                std::io::stderr().write_all(message.as_bytes()).expect("standard error");
                assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{message}");
                None
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
