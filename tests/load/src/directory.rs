//! Where the data lies while a benchmark runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::Failure;

/// In these a sync costs nothing.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// A fresh directory, removed when dropped, on a disk: in `parent`, or beside this program.
pub fn create(parent: Option<&Path>) -> Result<TempDir, Failure> {
    let beside = std::env::current_exe()?;
    let parent = parent.or_else(|| beside.parent()).ok_or("this program lies nowhere")?;
    let parent = parent.canonicalize().map_err(|error| format!("{}: {error}", parent.display()))?;
    let file_system = file_system(&fs::read_to_string("/proc/self/mountinfo")?, &parent);
    if file_system.as_deref().is_some_and(|kind| IN_MEMORY.contains(&kind)) {
        let problem = "lies in memory, where a sync costs nothing: give --directory on a disk";
        return Err(format!("{} {problem}", parent.display()).into());
    }
    Ok(tempfile::Builder::new().prefix("countersign-load-").tempdir_in(parent)?)
}

/// The kind of the file system that `path` lies on, by mountinfo (proc(5)). The last mount on the
/// longest of the mount points above it counts.
fn file_system(mountinfo: &str, path: &Path) -> Option<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = PathBuf::from(mount.split(' ').nth(4)?);
        path.starts_with(&point).then(|| (point.components().count(), source))
    });
    let (_, source) = mounts.max_by_key(|(depth, _)| *depth)?;
    source.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_point_tells_the_file_system() {
        let mountinfo = "20 1 254:0 / / rw - ext4 /dev/vda rw\n\
            21 20 0:30 / /tmp rw shared:5 - tmpfs tmpfs rw\n\
            22 20 0:31 / /tmpdata rw - xfs /dev/vdb rw\n";
        let of = |path| file_system(mountinfo, Path::new(path));
        assert_eq!(of("/srv/target").as_deref(), Some("ext4"));
        assert_eq!(of("/tmp/x").as_deref(), Some("tmpfs"));
        assert_eq!(of("/tmpdata/x").as_deref(), Some("xfs"));
    }
}
