//! API keys: whatever is wrong with one, the answer is the same.

use countersign_proto::{
    common::ErrorReason,
    login::{
        GetApplicationRequest, GetUserRequest, login_service_client::LoginServiceClient,
        user_service_client::UserServiceClient,
    },
};
use tonic::Request;

use crate::world::{World, refused};

#[tokio::test]
async fn every_fault_of_an_api_key_is_the_same_refusal() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let other = world.backend("Other").await;
    let key = backend.api_key.as_str();
    let (id, secret) = key[4..].split_once('_').expect("csk_<id>_<secret>");
    let (_, others_secret) = other.api_key[4..].split_once('_').expect("csk_<id>_<secret>");
    let flipped =
        |text: &str| text.replacen(|_: char| true, if text.starts_with('a') { "b" } else { "a" }, 1);
    let bearer = |key: &str| vec![format!("Bearer {key}")];
    let faults = [
        vec![],
        vec![String::new()],
        vec!["Bearer".to_owned()],
        bearer(""),
        bearer("csk_"),
        bearer(&key[1..]),
        bearer(&format!("{key}a")),
        bearer(&key.to_uppercase()),
        bearer(&format!("csk_{}_{secret}", flipped(id))),
        bearer(&format!("csk_{id}_{}", flipped(secret))),
        bearer(&format!("csk_{id}_{others_secret}")),
        vec![format!("Basic {key}")],
        vec![key.to_owned()],
        vec![format!("Bearer {key}"), format!("Bearer {key}")],
        vec![format!("Bearer {key}"), format!("Bearer {}", other.api_key)],
        bearer(&format!("{key} {key}")),
    ];
    let channel = world.channel().await;
    let mut sentences = Vec::new();
    for fault in faults {
        let request = || {
            let mut request = Request::new(());
            for value in &fault {
                request.metadata_mut().append("authorization", value.parse().expect("ASCII"));
            }
            request
        };
        let mut login = LoginServiceClient::new(channel.clone());
        let told = login.get_application(request().map(|()| GetApplicationRequest {})).await;
        assert!(told.is_err(), "{fault:?}");
        sentences.push(refused(told, ErrorReason::CredentialInvalid).message().to_owned());
        let mut users = UserServiceClient::new(channel.clone());
        let user = GetUserRequest { user_id: "anna".to_owned() };
        let told = users.get_user(request().map(|()| user)).await;
        sentences.push(refused(told, ErrorReason::CredentialInvalid).message().to_owned());
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
}

#[tokio::test]
async fn whoever_calls_learns_who_he_is() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let told = backend.login.clone().get_application(GetApplicationRequest {}).await.expect("a good key");
    let told = told.into_inner();
    assert_eq!((told.application_id.as_str(), told.name.as_str()), (&*backend.application_id, "Shop"));
    assert_eq!(told.server_id, world.server_id());
    assert_eq!(told.server_time, Some(world.now().to_wire()));
    let policy = told.policy.expect("a policy");
    assert_eq!((policy.match_code_digits, policy.max_pending_challenges), (3, 1));
    assert!(policy.enrollment_confirmation);
    assert!(!told.server_version.is_empty());
    // The scheme's name is compared as HTTP does.
    let mut request = Request::new(GetApplicationRequest {});
    let lower = format!("bearer {}", backend.api_key).parse().expect("ASCII");
    request.metadata_mut().insert("authorization", lower);
    LoginServiceClient::new(world.channel().await).get_application(request).await.expect("a good key");
}
