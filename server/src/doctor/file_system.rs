//! The file system that the data directory lies on.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use rustix::fs::{major, minor, statfs};

use super::Finding;

/// What a file system is to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Local,
    Network(String),
    Memory(&'static str),
    /// A program serves it, and only that knows where the files are.
    Served(String),
}

/// FUSE's number in statfs(2).
const FUSE: u32 = 0x6573_5546;

/// What is served by FUSE and lies on another machine, by the name that follows `fuse.` in /proc/self/mountinfo.
const NETWORK_BY_FUSE: [&str; 10] = [
    "sshfs",
    "s3fs",
    "gcsfuse",
    "glusterfs",
    "rclone",
    "ceph-fuse",
    "curlftpfs",
    "davfs",
    "juicefs",
    "mount-s3",
];

const WHERE_TO: &str = "move it to a local disk and set server.data_dir";

pub(super) fn check(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let unsafe_for_sqlite =
        "SQLite's log needs the memory of one machine and locks that hold: the database can be damaged";
    match kind_of(path)? {
        Kind::Local => None,
        Kind::Network(name) => Some(Finding::problem(
            format!("the data directory {shown} lies on a network file system ({name})"),
            unsafe_for_sqlite,
            WHERE_TO,
        )),
        Kind::Memory(name) => Some(Finding::problem(
            format!("the data directory {shown} lies in memory ({name})"),
            "every application, device and key is gone when this machine restarts",
            WHERE_TO,
        )),
        Kind::Served(name) => Some(Finding::warning(
            format!("the data directory {shown} lies on a file system that a program serves ({name})"),
            unsafe_for_sqlite,
            "make sure that it is a disk of this machine, with mapped memory and locks; or move it to one and set \
             server.data_dir",
        )),
    }
}

fn kind_of(path: &Path) -> Option<Kind> {
    // The numbers have 32 bits; the field is wider on some machines.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers have 32 bits")]
    let number = statfs(path).ok()?.f_type as u32;
    if number != FUSE {
        return Some(by_number(number));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Some(by_name(name_of(&mounts, fs::metadata(path).ok()?.dev()).unwrap_or("fuse")))
}

/// By the numbers of statfs(2).
fn by_number(number: u32) -> Kind {
    let network = |name: &str| Kind::Network(name.to_owned());
    match number {
        0x6969 => network("NFS"),
        0x517b => network("SMB"),
        0xff53_4d42 | 0xfe53_4d42 => network("CIFS"),
        0x0102_1997 => network("9p"),
        0x00c3_6400 => network("Ceph"),
        0x5346_414f => network("AFS"),
        0x0bd0_0bd0 => network("Lustre"),
        0x1983_0326 => network("BeeGFS"),
        0x4750_4653 => network("GPFS"),
        0x0102_1994 => Kind::Memory("tmpfs"),
        0x8584_58f6 => Kind::Memory("ramfs"),
        _ => Kind::Local,
    }
}

/// By the type of a FUSE mount.
fn by_name(name: &str) -> Kind {
    match name.strip_prefix("fuse.") {
        // Of a block device of this machine, such as NTFS.
        None if name == "fuseblk" => Kind::Local,
        Some(subtype) if NETWORK_BY_FUSE.contains(&subtype) => Kind::Network(subtype.to_owned()),
        subtype => Kind::Served(subtype.unwrap_or(name).to_owned()),
    }
}

/// The type of the mount with this device number, in the text of /proc/self/mountinfo (proc(5)).
fn name_of(mounts: &str, device: u64) -> Option<&str> {
    let number = format!("{}:{}", major(device), minor(device));
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        (before.split(' ').nth(2)? == number).then(|| after.split(' ').next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_their_numbers() {
        let network = |name: &str| Kind::Network(name.to_owned());
        // As /usr/include/linux/magic.h has them.
        for (number, expected) in [
            (0xef53, Kind::Local),
            (0x5846_5342, Kind::Local),
            (0x9123_683e, Kind::Local),
            (0x6969, network("NFS")),
            (0xff53_4d42, network("CIFS")),
            (0x0102_1997, network("9p")),
            (0x0102_1994, Kind::Memory("tmpfs")),
        ] {
            assert_eq!(by_number(number), expected, "{number:x}");
        }
    }

    #[test]
    fn what_a_program_serves_is_told_by_its_name() {
        let mounts = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            42 27 0:39 / /mnt/far\\040away rw,nosuid,nodev,relatime shared:9 - fuse.sshfs host:/srv rw,user_id=0\n\
            43 27 8:17 / /mnt/stick rw - fuseblk /dev/sdb1 rw\n";
        let device = |major, minor| rustix::fs::makedev(major, minor);
        assert_eq!(name_of(mounts, device(0, 39)), Some("fuse.sshfs"));
        assert_eq!(name_of(mounts, device(8, 17)), Some("fuseblk"));
        assert_eq!(name_of(mounts, device(0, 3)), None);
        assert_eq!(by_name("fuse.sshfs"), Kind::Network("sshfs".to_owned()));
        assert_eq!(by_name("fuse.mergerfs"), Kind::Served("mergerfs".to_owned()));
        assert_eq!(by_name("virtiofs"), Kind::Served("virtiofs".to_owned()));
        assert_eq!(by_name("fuseblk"), Kind::Local);
    }
}
