//! Who makes a call that only reads: a device's signed call statement, checked before anything is looked up.

use std::time::Duration;

use countersign_domain::{UnixTime, challenge::FactorTag, id::DeviceId};
use countersign_proto::{
    envelope,
    key::VerificationKey,
    statement::{CallStatement, Envelope, PublicKey},
};

use crate::{core::Core, refusal::Refusal};

/// How far a call's time may lie from the server's.
pub const CALL_WITHIN: Duration = Duration::from_mins(1);

/// A device that proved to hold a key. Whether that key is anybody's is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The device that it says it is.
    pub device: DeviceId,
    /// The key that it holds.
    pub key: VerificationKey,
}

impl Caller {
    /// Checks the statement that came with a call of `method` against the key that came with it. All faults
    /// are one refusal, but for a time that is off: that one tells the server's.
    pub fn prove(
        core: &Core,
        method: &str,
        call: Option<&Envelope>,
        key: Option<&PublicKey>,
    ) -> Result<Self, Refusal> {
        let key = VerificationKey::from_wire(key).map_err(|_| Refusal::SIGNATURE)?;
        let call = call.ok_or(Refusal::SIGNATURE)?;
        let statement: CallStatement = envelope::open(call, key).map_err(|_| Refusal::SIGNATURE)?;
        let device = statement.device_id.parse().map_err(|_| Refusal::SIGNATURE)?;
        if statement.server_id != core.server_keys.server_id() || statement.method != method {
            return Err(Refusal::SIGNATURE);
        }
        let now = core.clock.now();
        let issued_at = UnixTime::from_wire(statement.issued_at.as_ref()).map_err(|_| Refusal::SIGNATURE)?;
        if issued_at.since(now).max(now.since(issued_at)) > CALL_WITHIN {
            return Err(Refusal::ClockSkew(now));
        }
        Ok(Self { device, key })
    }

    /// The tag of the device that the caller says it is, with the key that it holds.
    pub fn tag(self, core: &Core) -> FactorTag {
        core.device_tag(self.device, &self.key.to_bytes())
    }
}
