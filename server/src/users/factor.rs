//! The wire's form of factors.

use countersign_domain::UnixTime;
use countersign_proto::{common::FactorType, key::VerificationKey, login, statement::Envelope};
use prost::Message as _;

use crate::store::{
    codes::{RecoveryRow, TotpRow},
    devices::DeviceRow,
};

/// The wire's form of a device as a factor.
pub fn device_factor(row: &DeviceRow) -> login::Factor {
    let key = VerificationKey::from_bytes(&row.public_key).ok();
    let binding = row.bound.as_ref().and_then(|bound| Envelope::decode(bound.envelope.as_slice()).ok());
    login::Factor {
        factor_id: row.id.to_string(),
        r#type: FactorType::Device.into(),
        name: row.name.clone(),
        created_at: Some(row.created_at.to_wire()),
        last_used_at: row.last_used_at.map(UnixTime::to_wire),
        device: Some(login::Device {
            platform: row.platform.into(),
            app_version: row.app_version.clone(),
            public_key: key.map(VerificationKey::to_wire),
            push_state: row.push_state.into(),
            last_seen_at: row.last_seen_at.map(UnixTime::to_wire),
            binding,
        }),
    }
}

/// The wire's form of an authenticator app's secret as a factor.
pub fn totp_factor(row: &TotpRow) -> login::Factor {
    login::Factor {
        factor_id: row.id.to_string(),
        r#type: FactorType::Totp.into(),
        name: row.name.clone(),
        created_at: Some(row.created_at.to_wire()),
        last_used_at: row.last_used_at.map(UnixTime::to_wire),
        device: None,
    }
}

/// The wire's form of a recovery code as a factor.
pub(super) fn recovery_factor(row: &RecoveryRow) -> login::Factor {
    login::Factor {
        factor_id: row.id.to_string(),
        r#type: FactorType::RecoveryCode.into(),
        name: String::new(),
        created_at: Some(row.created_at.to_wire()),
        last_used_at: None,
        device: None,
    }
}
