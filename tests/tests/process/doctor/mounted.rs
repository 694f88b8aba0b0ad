//! File systems that are mounted for a test: a small one in memory, and one that is reached as over a network.

use std::{
    fs::File,
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
        unmount(&self.at);
    }
}

/// Where distributions put what serves files to `sshfs`.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
];

/// A directory of another machine, as far as the kernel can tell: `sshfs`, whose connection is a pipe to an SFTP server
/// on this one. It is gone when dropped.
pub(super) struct Remote {
    at: PathBuf,
    _directory: TempDir,
}

impl Remote {
    /// Mounts one that says that it is of this type. None where it cannot be: this has then said so on standard error.
    /// With a non-empty `CI` in the environment it panics instead, unless the kernel is what has no FUSE.
    pub(super) fn new_or_skip(subtype: &str) -> Option<Self> {
        let skip = |reason: &str| {
            let message = format!("{reason}, so a network file system is NOT tested\n");
            std::io::stderr().write_all(message.as_bytes()).expect("standard error");
        };
        if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
            skip(&format!("/dev/fuse cannot be used ({error})"));
            return None;
        }
        match Self::mount(subtype) {
            Ok(remote) => Some(remote),
            Err(reason) => {
                skip(&reason);
                assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{reason}");
                None
            }
        }
    }

    fn mount(subtype: &str) -> Result<Self, String> {
        let server = SFTP_SERVERS.iter().find(|server| Path::new(server).exists());
        let server = server.ok_or_else(|| format!("there is none of {}", SFTP_SERVERS.join(", ")))?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [from, at, connect] = ["from", "mounted", "connect"].map(|name| directory.path().join(name));
        for made in [&from, &at] {
            std::fs::create_dir(made).expect("a directory");
        }
        // What would be ssh: its arguments lead to no host.
        std::fs::write(&connect, format!("exec {server}\n")).expect("it is written");
        let options = format!("ssh_command=sh {},subtype={subtype}", connect.display());
        let mut mount = Command::new("sshfs");
        mount.arg(format!("nowhere:{}", from.display())).arg(&at).args(["-o", &options]).stdin(Stdio::null());
        // The program goes on in the background, with no output of ours held open.
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        match mounted {
            Ok(status) if status.success() => Ok(Self { at, _directory: directory }),
            failed => Err(format!("sshfs mounts nothing: {failed:?}")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

fn unmount(at: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(at).status();
}
