//! The device's side: read the offer, take it.

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    enrollment::State,
    id::{DeviceId, FactorId},
    policy::Policy,
};
use countersign_proto::{
    device::{self, AccountState, EnrollRequest, EnrollResponse, GetOfferResponse, TotpSecret},
    envelope,
    key::VerificationKey,
    link::EnrollmentToken,
    statement::{EnrollmentStatement, OfferStatement},
};
use secrecy::ExposeSecret as _;

use super::{Enrollment, bind, stored, stored_digest};
use crate::{
    account::describe,
    codes::{new_totp, open_totp_secret},
    core::Core,
    refusal::Refusal,
    store::{
        codes::TotpRow,
        devices::DeviceRow,
        enrollments::{EnrollmentRow, TakeOutcome, Taking},
    },
};

impl Enrollment {
    /// What a link is for: the same signed offer each time, for as long as the link lives.
    pub async fn offer(&self, token: &str) -> Result<GetOfferResponse, Refusal> {
        let (row, _) = self.by_token(token).await?;
        let policy = self.policy_of(&row).await?;
        if row.device.is_none() && row.state != State::Pending {
            return Err(Refusal::EnrollmentTokenInvalid);
        }
        let offer = stored(&row.offer);
        let server_key = self.core.server_keys.statements_for(&[&offer]).pop();
        Ok(GetOfferResponse {
            server_key,
            offer: Some(offer),
            time_left: Some(row.expires_at.since(self.core.clock.now()).into()),
            user_verification_required: policy.user_verification_required,
        })
    }

    /// Takes the offer. The same link with the same key gets the first answer again.
    pub async fn enroll(&self, request: EnrollRequest) -> Result<EnrollResponse, Refusal> {
        let (row, offer) = self.by_token(&request.token).await?;
        let statement = accepted(&self.core, &request, &row)?;
        let taking = self.taking(&row, &offer, &request, &statement).await?;
        let core = Arc::clone(&self.core);
        let (id, new_device) = (row.id, taking.device);
        let taken = self.core.tasks.finish(async move {
            let outcome = core.enrollments.take(taking).await;
            core.enrollment_waiters.wake(id);
            outcome
        });
        match taken.await? {
            TakeOutcome::NotFound => Err(Refusal::EnrollmentTokenInvalid),
            TakeOutcome::TakenByOther => Err(Refusal::EnrollmentTokenUsed),
            TakeOutcome::KeyKnown => {
                Err(Refusal::KeyNotAcceptable("it belongs to a device already; make a new one".into()))
            }
            TakeOutcome::TooMany => Err(Refusal::TOO_MANY_DEVICES),
            TakeOutcome::Taken(row) => Ok(self.answer(&row, &offer, new_device)),
        }
    }

    /// The enrolment that a token opens, and its offer, verified: a token that was copied to another row of
    /// the store opens nothing.
    async fn by_token(&self, token: &str) -> Result<(EnrollmentRow, OfferStatement), Refusal> {
        let token: EnrollmentToken = token.parse().map_err(|_| Refusal::EnrollmentTokenInvalid)?;
        let tag = self.core.keyring.token_tag(token.reveal()).to_bytes();
        let row = self.core.enrollments.by_token(tag).await?;
        let row = row.filter(|row| self.core.clock.now() < row.expires_at && row.state != State::Expired);
        let row = row.ok_or(Refusal::EnrollmentTokenInvalid)?;
        let offer = self.offer_of(&row).filter(|offer| offer.token_sha256 == token.digest());
        Ok((row, offer.ok_or(Refusal::EnrollmentTokenInvalid)?))
    }

    async fn policy_of(&self, row: &EnrollmentRow) -> Result<Policy, Refusal> {
        let application = self.core.applications.by_id(row.user.application).await?;
        Ok(application.ok_or(Refusal::EnrollmentTokenInvalid)?.policy.effective())
    }

    async fn taking(
        &self,
        row: &EnrollmentRow,
        offer: &OfferStatement,
        request: &EnrollRequest,
        statement: &EnrollmentStatement,
    ) -> Result<Taking, Refusal> {
        let core = &self.core;
        let source = request.enrollment.as_ref().map(envelope::payload_digest).unwrap_or_default();
        let key = VerificationKey::from_wire(statement.public_key.as_ref())?;
        let device = DeviceRow::unconfirmed(
            core.ids.device(core.ids.user_tag(&row.user)),
            row.user.clone(),
            key.to_bytes(),
            statement,
            core.clock.now(),
        );
        let policy = self.policy_of(row).await?;
        let (id, algorithm, digits) =
            (FactorId::Device(device.id), policy.totp_algorithm, policy.totp_digits);
        let (totp, _) = new_totp(&core.keyring, core.random.as_ref(), &row.user, id, algorithm, digits);
        let wanted = policy.enrollment_confirmation;
        let bound = (!wanted).then(|| bind(core, offer, &device, source, core.clock.now())).transpose()?;
        Ok(Taking {
            enrollment: row.id,
            device: device.id,
            public_key: device.public_key,
            name: device.name,
            platform: device.platform,
            source_sha256: source,
            totp,
            bound,
        })
    }

    /// Confirmation code and TOTP secret are told until the enrolment has ended; where that is at once, to the call
    /// that ended it.
    fn answer(&self, row: &EnrollmentRow, offer: &OfferStatement, new_device: DeviceId) -> EnrollResponse {
        let Some(device) = &row.device else { return EnrollResponse::default() };
        let code = self.core.keyring.confirmation_code(&row.id.to_string(), &device.public_key);
        let confirmation_code = match row.state {
            State::Confirming { .. } => code.reveal().to_owned(),
            _ => String::new(),
        };
        let account = device::Account {
            state: match row.state {
                State::Completed => AccountState::Active.into(),
                _ => AccountState::Confirming.into(),
            },
            ..describe(device, &offer.application_name, &offer.account_name)
        };
        let is_told = row.state.is_open() || device.id == new_device;
        let totp = row.totp.as_ref().filter(|_| is_told).and_then(|totp| self.totp_of(row, totp));
        EnrollResponse { account: Some(account), confirmation_code, totp }
    }

    /// The device's own secret. One that does not open is left out: the device signs as well without it.
    fn totp_of(&self, row: &EnrollmentRow, totp: &TotpRow) -> Option<TotpSecret> {
        match open_totp_secret(&self.core.keyring, &row.user, totp) {
            Ok(secret) => Some(TotpSecret {
                secret: secret.expose_secret().to_vec(),
                algorithm: totp.algorithm.to_wire().into(),
                digits: totp.digits,
                period: Some(Duration::from_secs(totp.period_seconds.into()).into()),
            }),
            Err(error) => {
                tracing::error!(factor.id = %totp.id, error = %error, "a stored TOTP secret does not open");
                None
            }
        }
    }
}

/// The device's signed yes to this very offer.
fn accepted(
    core: &Core,
    request: &EnrollRequest,
    row: &EnrollmentRow,
) -> Result<EnrollmentStatement, Refusal> {
    let envelope =
        request.enrollment.as_ref().ok_or_else(|| Refusal::field("enrollment", "must be given"))?;
    let key = VerificationKey::from_wire(request.public_key.as_ref())?;
    if core.server_keys.is_own(key) {
        return Err(Refusal::KeyNotAcceptable("it is a key of the server".into()));
    }
    let statement: EnrollmentStatement = envelope::open(envelope, key)?;
    let differs = if statement.public_key != request.public_key {
        "public_key"
    } else if statement.server_id != core.server_keys.server_id() {
        "server_id"
    } else if statement.offer_sha256 != stored_digest(&row.offer) {
        "offer_sha256"
    } else {
        return Ok(statement);
    };
    Err(Refusal::StatementMismatch(differs))
}
