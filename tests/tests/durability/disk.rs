//! A disk that can lose its power: a file with a file system in it, mounted by loop.
//!
//! What programs write to it lies in the page cache of the mounted file system until that writes it to the file,
//! for which a program has to call fsync. A copy of the file is the disk as a power cut would leave it.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

const BYTES: u64 = 256 << 20;
const IMAGE: &str = "disk.img";

/// A mounted disk. It is unmounted and gone when dropped.
pub(crate) struct Disk {
    // Declared before the directory, so that it is unmounted first.
    mounted: Mounted,
    directory: TempDir,
}

impl Disk {
    /// A new, empty disk. None where nothing can be mounted: this has then said so on standard error. With a
    /// non-empty `CI` in the environment it panics instead.
    pub(crate) fn new_or_skip() -> Option<Self> {
        match Self::create() {
            Ok(disk) => Some(disk),
            Err(reason) => {
                let message = format!(
                    "no disk image can be mounted, so the loss of power is NOT tested: {reason}\nIt takes \
                     root, mount, and mkfs.ext4 (on Debian: sudo apt-get install mount e2fsprogs)\n"
                );
                // The test harness captures the print macros, and shows nothing of a test that passes.
                std::io::stderr().write_all(message.as_bytes()).expect("standard error");
                assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{message}");
                None
            }
        }
    }

    fn create() -> Result<Self, String> {
        let directory =
            tempfile::Builder::new().prefix("disk-").tempdir().map_err(|error| error.to_string())?;
        let image = directory.path().join(IMAGE);
        File::create(&image).and_then(|file| file.set_len(BYTES)).map_err(|error| error.to_string())?;
        // Nothing is left to be initialised in the background, which would go on while the file is copied.
        let whole = "lazy_itable_init=0,lazy_journal_init=0";
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", whole]).arg(&image))?;
        Self::mount(directory)
    }

    fn mount(directory: TempDir) -> Result<Self, String> {
        let at = directory.path().join("mounted");
        std::fs::create_dir(&at).map_err(|error| error.to_string())?;
        // The journal is not committed by itself in between: only what was synced is sure to be there.
        run(Command::new("mount")
            .args(["-o", "loop,commit=300"])
            .arg(directory.path().join(IMAGE))
            .arg(&at))?;
        Ok(Self { mounted: Mounted(at), directory })
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mounted.0
    }

    /// The disk as it would be found if the power went now. Whoever writes to it must stand still.
    pub(crate) fn after_power_loss(&self) -> Self {
        let directory = tempfile::Builder::new().prefix("disk-").tempdir().expect("a directory");
        let (from, to) = (self.directory.path().join(IMAGE), directory.path().join(IMAGE));
        run(Command::new("cp").arg("--sparse=always").args([from, to])).expect("the image can be copied");
        Self::mount(directory).expect("its journal can be replayed")
    }
}

/// Unmounts when dropped, which also gives the loop device back.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that still dies must not keep it.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end()))
}
