//! The file that holds the master key: exactly 32 random bytes, readable by its owner only.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecretMut as _, SecretBox};
use zeroize::Zeroizing;

use crate::random::Random;

const LENGTH: usize = 32;

pub(super) type MasterKey = SecretBox<[u8; LENGTH]>;

/// Why there is no master key. Each names the file and what would help.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Gone, although the data of an earlier start rest on it.
    #[error(
        "the master key file {} is missing, but there are data that were sealed with it: put it back from \
         your backup (a new key would open nothing)", path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Others than its owner may use the file.
    #[error(
        "the master key file {} has mode {mode:04o}, so others than its owner can use it; allowed are 0600 \
         and 0400: run chmod 600 {}", path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 32 bytes.
    #[error(
        "the master key file {} is not a master key: exactly {LENGTH} bytes are allowed, with no line break \
         after them (if a first start was cut off before there were any data, delete the file)", path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
    },
    /// A directory, a device, a pipe.
    #[error("the master key file {} is not a regular file", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("the master key file {} cannot be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `made`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

pub(super) fn load_or_create(
    path: &Path,
    random: &dyn Random,
    first_start: bool,
) -> Result<MasterKey, KeyringError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && first_start => create(path, random)
            .map_err(|source| KeyringError::Io { path: path.to_owned(), action: "made", source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(KeyringError::Missing { path: path.to_owned() })
        }
        Err(source) => Err(KeyringError::Io { path: path.to_owned(), action: "read", source }),
    }
}

fn read(path: &Path, file: File) -> Result<MasterKey, KeyringError> {
    let io = |source| KeyringError::Io { path: path.to_owned(), action: "read", source };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(KeyringError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::Exposed { path: path.to_owned(), mode });
    }
    // One byte more than allowed is room enough to notice a file that is too long; the buffer never grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() != LENGTH {
        return Err(KeyringError::Length { path: path.to_owned() });
    }
    Ok(SecretBox::init_with_mut(|key: &mut [u8; LENGTH]| key.copy_from_slice(&bytes)))
}

/// Makes the file, and comes back only when it would survive a loss of power.
fn create(path: &Path, random: &dyn Random) -> io::Result<MasterKey> {
    let mut key: MasterKey = SecretBox::new(Box::new([0; LENGTH]));
    random.fill(key.expose_secret_mut());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(key.expose_secret_mut()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a key would be in the way of the next start. That it cannot be removed either is told then.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(key)
}
