//! How many streams each device has open at this server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_domain::id::DeviceId;

/// Places for streams: so many for each device.
#[derive(Debug)]
pub struct DeviceStreams {
    most: usize,
    open: Mutex<HashMap<DeviceId, usize>>,
}

/// A device's place for one stream, given back when dropped.
#[derive(Debug)]
pub struct DeviceStream {
    streams: Arc<DeviceStreams>,
    device: DeviceId,
}

impl DeviceStreams {
    /// `most` streams at a time for each device.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A place for one more stream of `device`; none when it has all that it may have.
    pub fn take(self: &Arc<Self>, device: DeviceId) -> Option<DeviceStream> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.get(&device).copied().unwrap_or(0);
        if taken >= self.most {
            return None;
        }
        open.insert(device, taken + 1);
        Some(DeviceStream { streams: Arc::clone(self), device })
    }
}

impl Drop for DeviceStream {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = open.get_mut(&self.device) {
            *taken -= 1;
            if *taken == 0 {
                open.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_its_share_and_nothing_is_kept_of_who_has_gone() {
        let streams = DeviceStreams::new(2);
        let [first, second] = [DeviceId::new(1, 1), DeviceId::new(1, 2)];
        let places = [streams.take(first), streams.take(first), streams.take(second)];
        assert!(places.iter().all(Option::is_some));
        assert!(streams.take(first).is_none(), "a third");
        drop(places);
        assert!(streams.take(first).is_some(), "free again");
        assert!(streams.open.lock().expect("not poisoned").is_empty());
    }
}
