//! The data directory: whose it is, who may read it, how much room it has, who runs on it.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::statvfs;

use super::{Finding, Installation, file_system};
use crate::store::sqlite::{DataDirectory, Occupants};

/// Less room than this will soon be none.
const LITTLE_ROOM_MIB: u64 = 1024;
/// Less room than this is none: the log alone may need it.
const NO_ROOM_MIB: u64 = 64;

/// What files a server makes in it.
const FILES: [&str; 5] =
    ["countersign.sqlite", "countersign.sqlite-wal", "countersign.sqlite-shm", "lock", "master.key"];

pub(super) fn check(installation: &Installation) -> Vec<Finding> {
    let path = &installation.config.server.data_dir;
    let read = fs::metadata(path).and_then(|metadata| {
        // Whether this user may look into it shows only when it is done.
        fs::read_dir(path)?;
        Ok(metadata)
    });
    match read {
        Ok(metadata) => {
            let mut findings: Vec<_> = exposed(path, &metadata).into_iter().collect();
            findings.extend(others_files(path, &metadata));
            findings.extend(file_system::check(path));
            findings.extend(room(path));
            findings.extend(occupants(installation, path));
            findings
        }
        Err(error) => {
            let fix = if error.kind() == io::ErrorKind::PermissionDenied {
                "run this as the server's user (`sudo -u countersign ...`)"
            } else {
                "set server.data_dir (or --data-dir) to where it is, or restore it from a backup; before a first start \
                 there is none"
            };
            vec![Finding::problem(
                format!("the data directory {} cannot be read: {error}", path.display()),
                "it holds applications, devices and keys; a server that starts without it starts anew",
                fix,
            )]
        }
    }
}

fn exposed(path: &Path, metadata: &Metadata) -> Option<Finding> {
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then(|| {
        let path = path.display();
        Finding::warning(
            format!("the data directory {path} has mode {mode:04o}"),
            "others than the server's user may look into it",
            format!("run `chmod 700 {path}`"),
        )
    })
}

/// Typically made by somebody who ran a command as root.
fn others_files(path: &Path, metadata: &Metadata) -> Option<Finding> {
    let owner = metadata.uid();
    let is_others = |name: &&str| fs::metadata(path.join(name)).is_ok_and(|file| file.uid() != owner);
    let others: Vec<_> = FILES.into_iter().filter(is_others).collect();
    (!others.is_empty()).then(|| {
        let path = path.display();
        Finding::problem(
            format!(
                "in the data directory {path}, {} belongs to another user than the directory",
                others.join(", ")
            ),
            "the server runs as the directory's user and cannot write it: it fails at its next start, or now",
            format!(
                "run `chown -R {owner} {path}`, and commands as the server's user (`sudo -u countersign ...`)"
            ),
        )
    })
}

fn room(path: &Path) -> Option<Finding> {
    let disk = statvfs(path).ok()?;
    let free_mib = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
    let what = format!("{free_mib} MiB are free where {} lies", path.display());
    let why = "a full disk refuses every login, enrolment and revocation until there is room";
    let fix = format!("make room, or move the directory to a larger disk: `df -h {}`", path.display());
    match free_mib {
        0..NO_ROOM_MIB => Some(Finding::problem(what, why, fix)),
        NO_ROOM_MIB..LITTLE_ROOM_MIB => Some(Finding::warning(what, why, fix)),
        _ => None,
    }
}

fn occupants(installation: &Installation, path: &Path) -> Option<Finding> {
    let found = DataDirectory::at(path).occupants().ok()?;
    let why = "what this command says of challenges and Redis is not what the running server has, and commands such \
               as `countersign user revoke` do not reach its challenges";
    match (found, installation.config.redis.is_some()) {
        (Occupants::Sharing, false) => Some(Finding::warning(
            "the servers that run on this data directory have their challenges in Redis, and this configuration does \
             not name it",
            why,
            "give this command the servers' configuration: --config, or COUNTERSIGN_REDIS_URL",
        )),
        (Occupants::One, true) => Some(Finding::warning(
            "the server that runs on this data directory has its challenges in it, and this configuration names a Redis",
            why,
            "give this command the server's configuration, or restart the server with this one",
        )),
        _ => None,
    }
}
