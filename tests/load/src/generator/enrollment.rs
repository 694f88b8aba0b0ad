//! Users, each with a device.

use std::sync::Arc;

use tokio::{task::JoinSet, time::Instant};

use super::{Device, User, backend::Backend, connections::Connections, wakes::device_token};
use crate::{
    Failure,
    command::{Report, Target},
};

/// Enrolments under way at a time.
const AT_A_TIME: usize = 64;

/// Enrols all users, over the real calls.
pub(super) async fn enroll_all(
    target: &Target,
    backend: &Backend,
) -> Result<(Arc<[Arc<User>]>, Report), Failure> {
    let began = Instant::now();
    let devices = Connections::open(target.server).await?;
    let mut users = Vec::new();
    let mut tasks = JoinSet::new();
    for number in 0..target.users as usize {
        if tasks.len() == AT_A_TIME
            && let Some(enrolled) = tasks.join_next().await
        {
            users.push(enrolled??);
        }
        let token = target.wakes.map(|_| device_token(number));
        tasks.spawn(enroll(backend.clone(), devices.clone(), number, token));
    }
    while let Some(enrolled) = tasks.join_next().await {
        users.push(enrolled??);
    }
    // They are found by their number.
    users.sort_unstable_by_key(|(number, _)| *number);
    let users: Arc<[_]> = users.into_iter().map(|(_, user)| Arc::new(user)).collect();
    Ok((users, Report::done(target.users, began.elapsed())))
}

async fn enroll(
    backend: Backend,
    devices: Connections,
    number: usize,
    token: Option<String>,
) -> Result<(usize, User), Failure> {
    let user_id = format!("user-{number}");
    let (enrollment_id, link) = backend.start_enrollment(&user_id).await?;
    let enrolled = Device::enroll(devices, &link).await?;
    backend.confirm(enrollment_id, enrolled.confirmation_code).await?;
    if let Some(token) = token {
        enrolled.device.register(token).await?;
    }
    Ok((number, User::new(user_id, enrolled.device)))
}
