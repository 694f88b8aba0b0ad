//! Places for connections and for calls: so many in all, so many for one peer.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
};

/// All places.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    most_of_peer: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    network: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSlot {
    /// All places are taken.
    Full,
    /// The peer has its share.
    ShareTaken,
}

impl Slots {
    pub(super) fn new(most: usize, most_of_peer: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_peer, taken: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Slot, NoSlot> {
        let network = network(peer);
        let mut taken = self.taken.lock().expect("nobody panics while holding it");
        if taken.all >= self.most {
            return Err(NoSlot::Full);
        }
        let share = taken.by_peer.get(&network).copied().unwrap_or(0);
        if share >= self.most_of_peer {
            return Err(NoSlot::ShareTaken);
        }
        taken.by_peer.insert(network, share + 1);
        taken.all += 1;
        Ok(Slot { slots: Arc::clone(self), network })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().expect("nobody panics while holding it").all
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().expect("nobody panics while holding it");
        taken.all -= 1;
        if let Some(share) = taken.by_peer.get_mut(&self.network) {
            *share -= 1;
            // Forgotten at zero, so that the map never outgrows the places.
            if *share == 0 {
                taken.by_peer.remove(&self.network);
            }
        }
    }
}

/// What counts as one peer: an IPv4 address, or an IPv6 network of 64 bits, of which one customer has at
/// least one whole.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_peer_has_its_share_and_no_more() {
        let slots = Slots::new(3, 2);
        let first = slots.take(ip("192.0.2.1")).expect("free");
        let _second = slots.take(ip("::ffff:192.0.2.1")).expect("the same peer's second");
        assert_eq!(slots.take(ip("192.0.2.1")).expect_err("a third"), NoSlot::ShareTaken);
        let _other = slots.take(ip("192.0.2.2")).expect("another peer");
        assert_eq!(slots.take(ip("192.0.2.3")).expect_err("a fourth in all"), NoSlot::Full);
        drop(first);
        slots.take(ip("192.0.2.1")).expect("free again");
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_nothing_is_kept_of_who_has_gone() {
        let slots = Slots::new(9, 1);
        let slot = slots.take(ip("2001:db8:0:1::1")).expect("free");
        assert_eq!(slots.take(ip("2001:db8:0:1:ffff::2")).expect_err("same /64"), NoSlot::ShareTaken);
        slots.take(ip("2001:db8:0:2::1")).expect("another /64");
        drop(slot);
        assert!(slots.taken.lock().expect("sound").by_peer.is_empty());
    }
}
