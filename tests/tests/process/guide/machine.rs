//! A machine with a systemd: this one, in namespaces of its own, so that nothing that is done there is seen here, and no more is left than empty cgroups.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{PROGRAM, soon};

const UNIT: &str = include_str!("../../../../packaging/countersign.service");

/// Where distributions put it.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// Of the system's own units only those that any unit leans on; no other is there to be started.
const UNITS: [&str; 10] = [
    "basic.target",
    "exit.target",
    "final.target",
    "multi-user.target",
    "network-online.target",
    "network.target",
    "shutdown.target",
    "sysinit.target",
    "systemd-exit.service",
    "umount.target",
];

/// What becomes the machine's first process, after it has covered what the guide's commands write to.
const BOOT: &str = r#"
set -e
cd "$1"
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs none /run
mkdir -p /run/systemd/system/countersign.service.d
mkfifo /run/told
umount --lazy --recursive /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
cp -a /etc/. etc
cp units/* system
mount --bind etc /etc
mount --bind system "$(dirname "$2")/system"
mount --bind lib /var/lib
mount --bind backups /var/backups
mount -t tmpfs none /usr/local/bin
cp sudo cargo /usr/local/bin
rm -f /etc/systemd/system/countersign.service
cat >/run/systemd/system/countersign.service.d/log.conf <<LOG
[Service]
StandardOutput=file:/run/told
StandardError=append:$1/log
LOG
exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_GENERATOR_PATH=/nonexistent \
  "$2" --system --unit=guide.target --log-target=console --show-status=no
"#;

const GUIDE_TARGET: &str = "[Unit]\nRequires=guide.service\n";

/// The machine ends with the script, and tells how that ended.
const GUIDE_SERVICE: &str = "[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
WorkingDirectory=DIRECTORY/checkout
StandardOutput=append:DIRECTORY/output
StandardError=append:DIRECTORY/output
ExecStart=/bin/bash DIRECTORY/script
";

/// As much of it as the guide uses. It comes before one that is installed.
const SUDO: &str = r#"#!/bin/sh
[ "$1" = -u ] || exit 64
user=$2
shift 2
exec setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
"#;

/// What it would build is there.
const CARGO: &str = "#!/bin/sh\n[ \"$*\" = 'build --release -p countersign' ]\n";

/// What such a machine is made of.
pub(super) struct Machine(TempDir);

impl Machine {
    /// None where there can be none: this has then said so on standard error. With a non-empty `CI` in the environment it
    /// panics for want of root or a program, but not where the kernel or what surrounds the tests refuses.
    pub(super) async fn new_or_skip() -> Option<Self> {
        let is_root = fs::metadata("/proc/self").expect("it is there").uid() == 0;
        if !is_root || systemd().is_none() {
            skip("not root, or no systemd");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "not root, or no systemd");
            return None;
        }
        let tried = soon(namespaces().arg("true").stdin(Stdio::null()).output()).await;
        if !tried.as_ref().is_ok_and(|output| output.status.success()) {
            skip(&format!("no namespaces of its own: {tried:?}"));
            return None;
        }
        // Not in memory: that is no place for a database, and `doctor` says so.
        let machine = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory"));
        for directory in
            ["etc", "system", "units", "lib", "backups", "checkout/target/release", "checkout/packaging"]
        {
            fs::create_dir_all(machine.path(directory)).expect("a directory");
        }
        machine.write("checkout/packaging/countersign.service", UNIT);
        symlink(PROGRAM, machine.path("checkout/target/release/countersign")).expect("a link");
        for (name, content) in [("sudo", SUDO), ("cargo", CARGO)] {
            machine.write(name, content);
            fs::set_permissions(machine.path(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        let units = Path::new(systemd()?).parent()?.join("system");
        for unit in UNITS {
            fs::copy(units.join(unit), machine.path("units").join(unit)).expect("systemd brings it along");
        }
        machine.write("units/guide.target", GUIDE_TARGET);
        let directory = machine.0.path().to_str().expect("UTF-8");
        machine.write("units/guide.service", GUIDE_SERVICE.replace("DIRECTORY", directory));
        machine.write("boot", BOOT);
        Some(machine)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("it can be written");
    }

    /// Boots the machine, runs a script of bash in the checkout, in which descriptor 3 reads what the server prints, and
    /// returns all that was printed. The first command that fails ends it, and fails the test. None where no systemd
    /// comes up: this has then said so.
    pub(super) async fn run(&self, script: &str) -> Option<String> {
        let begin =
            "echo BEGUN\ntrap 'systemctl --no-block exit $?' EXIT\nset -euxo pipefail\nexec 3<>/run/told\n";
        self.write("script", format!("{begin}{script}"));
        let console = File::create(self.path("console")).expect("it can be written");
        let mut boot = namespaces();
        boot.arg("sh").arg(self.path("boot")).arg(self.0.path()).arg(systemd()?);
        boot.stdin(Stdio::null()).stderr(console.try_clone().expect("it is open")).stdout(console);
        let status = tokio::time::timeout(std::time::Duration::from_mins(2), boot.status()).await;
        let read = |name| fs::read(self.path(name)).unwrap_or_default();
        let [output, console, log] =
            ["output", "console", "log"].map(|name| String::from_utf8_lossy(&read(name)).into_owned());
        if !output.starts_with("BEGUN\n") {
            skip(&format!("no systemd comes up ({status:?}): {console}"));
            return None;
        }
        let is_good = matches!(&status, Ok(Ok(status)) if status.success());
        assert!(is_good, "{status:?}\n{output}\nthe server's log:\n{log}\nthe console:\n{console}");
        Some(output)
    }
}

fn systemd() -> Option<&'static str> {
    SYSTEMD.into_iter().find(|path| Path::new(path).exists())
}

/// Runs what follows with namespaces of its own, all of which end with it.
fn namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation=private",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child=KILL",
    ]);
    command.args(["--cgroup", "--net", "--uts", "--ipc", "--"]).kill_on_drop(true);
    command
}

fn skip(reason: &str) {
    let message = format!("the guide is NOT followed: {reason}\n");
    std::io::stderr().write_all(message.as_bytes()).expect("standard error");
}
