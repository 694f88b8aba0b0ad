//! The page's side: start, await, confirm.

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    UnixTime,
    enrollment::{LIFETIME, State},
    id::EnrollmentId,
};
use countersign_proto::{
    common::FactorType,
    link::EnrollmentToken,
    login::{self, EnrollmentState, StartEnrollmentRequest, StartEnrollmentResponse},
    statement::OfferStatement,
    statement_form::MAX_NAME_CHARS,
    text,
};
use prost::Message as _;

use super::{Beginning, Enrollment, bind, qr};
use crate::{
    authorization,
    core::{Wait, user_of},
    held_key::HeldKey,
    random,
    refusal::{Refusal, shown},
    store::{
        applications::Application,
        codes::MAX_TOTP_SECRETS,
        devices::{DeviceRow, UserKey},
        enrollments::{ConfirmOutcome, EnrollmentRow, NewEnrollment, NewFactor, StartOutcome},
    },
    users::{device_factor, totp_factor},
};

/// How often an awaited enrolment is read again: another process may have changed it.
const READ_EVERY: Duration = Duration::from_millis(250);
/// Digits of a confirmation code.
const CONFIRMATION_CODE_DIGITS: usize = 6;

impl Enrollment {
    /// Begins an enrolment; one that is open for the same user and type ends. A user who has had factors needs
    /// an approval, or an operator's permission.
    pub async fn start(
        &self,
        application: &Application,
        request: StartEnrollmentRequest,
    ) -> Result<StartEnrollmentResponse, Refusal> {
        let user = user_of(application, &request.user_id)?;
        shown("account_name", text::check(&request.account_name, MAX_NAME_CHARS))?;
        let core = &self.core;
        let now = core.clock.now();
        let Beginning { factor, uri, setup_key } = match FactorType::try_from(request.r#type) {
            Ok(FactorType::Device) => self.begin_device(application, &user, &request.account_name, now)?,
            Ok(FactorType::Totp) => self.begin_totp(application, &user, &request.account_name),
            _ => return Err(Refusal::field("type", "must be DEVICE or TOTP")),
        };
        let factor_type = factor.factor_type();
        let approval = authorization::verified(core, application, &user, request.authorization).await?;
        let (authorization, approved_by) = approval.unzip();
        let enrollment = NewEnrollment {
            id: core.ids.enrollment(),
            user,
            account_name: request.account_name,
            factor,
            authorization,
            approved_by,
            created_at: now,
            expires_at: now.plus(LIFETIME),
        };
        let started = login::Enrollment {
            enrollment_id: enrollment.id.to_string(),
            user_id: enrollment.user.user_id.clone(),
            r#type: factor_type.into(),
            state: EnrollmentState::Pending.into(),
            expires_at: Some(enrollment.expires_at.to_wire()),
            factor: None,
        };
        match core.enrollments.start(enrollment).await? {
            StartOutcome::Started => {}
            StartOutcome::TooMany => return Err(too_many(factor_type)),
            StartOutcome::StepUpRequired => return Err(authorization::missing_or_used(authorization)),
        }
        let qr_svg = qr::svg(&uri).unwrap_or_default();
        Ok(StartEnrollmentResponse { enrollment: Some(started), uri, qr_svg, setup_key })
    }

    /// The link for a device, and the signed offer behind it.
    fn begin_device(
        &self,
        application: &Application,
        user: &UserKey,
        account_name: &str,
        now: UnixTime,
    ) -> Result<Beginning, Refusal> {
        let core = &self.core;
        let token = EnrollmentToken::from_random(random::bytes(core.random.as_ref()));
        let offer = OfferStatement {
            server_id: core.server_keys.server_id().to_owned(),
            application_id: application.id.to_string(),
            application_name: application.name.clone(),
            user_id: user.user_id.clone(),
            account_name: account_name.to_owned(),
            token_sha256: token.digest().to_vec(),
            expires_at: Some(now.plus(LIFETIME).to_wire()),
        };
        let factor = NewFactor::Device {
            token_tag: core.keyring.token_tag(token.reveal()).to_bytes(),
            offer: core.server_keys.sign(&offer, now)?.encode_to_vec(),
        };
        let uri = self.origins.link(token, core.server_keys.root());
        Ok(Beginning { factor, uri, setup_key: String::new() })
    }

    /// The enrolment once its state is another than `known`, or as it is when the wait is over.
    pub async fn wait_for(
        &self,
        key: &HeldKey,
        enrollment_id: &str,
        known: i32,
        wait: Wait,
    ) -> Result<login::Enrollment, Refusal> {
        let core = &self.core;
        let known = known_state(known)?;
        let id: EnrollmentId = enrollment_id.parse().map_err(|_| Refusal::EnrollmentNotFound)?;
        let wait = wait.duration()?;
        let mut is_over = wait.is_zero();
        let mut over = core.clock.sleep(wait);
        let registration = core.enrollment_waiters.register(id);
        let mut has_waited = false;
        loop {
            let woken = registration.woken();
            let revoked = key.revoked();
            let row = self.own(key.application(), id).await;
            // Whatever came of the reading: who has no good key any more is told nothing.
            if has_waited {
                key.check().await?;
            }
            has_waited = true;
            let row = row?;
            if row.state.to_wire() != known || is_over {
                return Ok(describe(&row));
            }
            tokio::select! {
                () = woken => {}
                () = revoked => {}
                () = &mut over => is_over = true,
                () = core.clock.sleep(READ_EVERY) => {}
            }
        }
    }

    /// Ends an enrolment with the code that the device shows. A text that is no code is no try.
    pub async fn confirm(
        &self,
        application: &Application,
        enrollment_id: &str,
        code: &str,
    ) -> Result<login::Enrollment, Refusal> {
        let id: EnrollmentId = enrollment_id.parse().map_err(|_| Refusal::EnrollmentNotFound)?;
        let row = self.own(application, id).await?;
        match (row.state, &row.device) {
            (State::AwaitingTotp { .. }, _) => self.confirm_totp(row, code).await,
            (State::Confirming { .. }, Some(device)) => self.confirm_device(&row, device, code).await,
            _ => Ok(describe(&row)),
        }
    }

    async fn confirm_device(
        &self,
        row: &EnrollmentRow,
        device: &DeviceRow,
        code: &str,
    ) -> Result<login::Enrollment, Refusal> {
        let id = row.id;
        let code: String = code.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if code.len() != CONFIRMATION_CODE_DIGITS || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::field(
                "code",
                "must be the 6 digits that the device shows; this was no try",
            ));
        }
        let right = self.core.keyring.confirmation_code(&id.to_string(), &device.public_key);
        let code_is_right = right.matches(&code);
        let source = self.core.enrollments.source_sha256(device.id).await?;
        let now = self.core.clock.now();
        let offer = self.offer_of(row).ok_or(Refusal::EnrollmentNotFound)?;
        let bound = bind(&self.core, &offer, device, source.ok_or(Refusal::EnrollmentNotFound)?, now)?;
        let (public_key, application) = (device.public_key, row.user.application);
        let shared = Arc::clone(&self.core);
        let confirmed = self.core.tasks.finish(async move {
            let confirm = shared.enrollments.confirm(application, id, public_key, code_is_right, bound);
            let outcome = confirm.await;
            shared.enrollment_waiters.wake(id);
            outcome
        });
        ended(confirmed.await?, row.factor_type)
    }

    async fn own(&self, application: &Application, id: EnrollmentId) -> Result<EnrollmentRow, Refusal> {
        let row = self.core.enrollments.by_id(application.id, id).await?;
        row.ok_or(Refusal::EnrollmentNotFound)
    }
}

/// What a code came to.
pub(super) fn ended(outcome: ConfirmOutcome, factor_type: FactorType) -> Result<login::Enrollment, Refusal> {
    match outcome {
        ConfirmOutcome::NotFound => Err(Refusal::EnrollmentNotFound),
        ConfirmOutcome::TooMany => Err(too_many(factor_type)),
        ConfirmOutcome::Confirmed(row) => Ok(describe(&row)),
    }
}

fn too_many(factor_type: FactorType) -> Refusal {
    match factor_type {
        FactorType::Totp => Refusal::FactorLimitReached { kind: "TOTP secrets", most: MAX_TOTP_SECRETS },
        _ => Refusal::TOO_MANY_DEVICES,
    }
}

fn describe(row: &EnrollmentRow) -> login::Enrollment {
    let is_complete = row.state == State::Completed;
    let device = row.device.as_ref().filter(|_| is_complete || matches!(row.state, State::Confirming { .. }));
    let totp = row.totp.as_ref().filter(|_| is_complete && row.factor_type == FactorType::Totp);
    login::Enrollment {
        enrollment_id: row.id.to_string(),
        user_id: row.user.user_id.clone(),
        r#type: row.factor_type.into(),
        state: row.state.to_wire().into(),
        expires_at: Some(row.expires_at.to_wire()),
        factor: device.map(device_factor).or_else(|| totp.map(totp_factor)),
    }
}

fn known_state(known: i32) -> Result<EnrollmentState, Refusal> {
    match EnrollmentState::try_from(known) {
        Ok(EnrollmentState::Unspecified) => Ok(EnrollmentState::Pending),
        Ok(state) => Ok(state),
        Err(_) => Err(Refusal::field("known_state", "must be a state of an enrolment, or unset")),
    }
}
