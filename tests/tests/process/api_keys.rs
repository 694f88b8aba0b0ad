//! `countersign app key`: keys overlap, and one that is revoked is out of force when the command returns.

use countersign_proto::login::{GetApplicationRequest, GetUserRequest};
use countersign_test_peers::redis_or_skip;
use serde_json::Value;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::{
    people::{Application, Backend},
    program::{Place, soon},
    servers::Two,
};

/// Adds a key by the command line. Returns it with its id.
async fn added(place: &Place, application: &Application) -> (Application, String) {
    let printed = place.run_configured(&["app", "key", "add", "Shop", "--json"]).await.succeeded();
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["application_id"], application.id);
    let text = |key: &str| printed[key].as_str().expect("a text").to_owned();
    (Application { api_key: text("api_key"), ..application.clone() }, text("key_id"))
}

/// What stands between `csk_` and the secret.
fn id_of(application: &Application) -> String {
    application.api_key[4..].split_once('_').expect("csk_<id>_<secret>").0.to_owned()
}

async fn ids(place: &Place) -> Vec<String> {
    let printed = place.run_configured(&["app", "key", "list", "Shop", "--json"]).await.succeeded();
    serde_json::from_str(&printed).expect("a JSON array of texts")
}

async fn call(backend: &Backend) -> Result<String, Status> {
    let answer = soon(backend.login.clone().get_application(GetApplicationRequest {})).await?;
    Ok(answer.into_inner().application_id)
}

/// The key counts for no call of either service.
async fn is_refused(backend: &Backend) {
    let refusal = call(backend).await.expect_err("it was revoked");
    let user = GetUserRequest { user_id: "anna".to_owned() };
    let other = soon(backend.users.clone().get_user(user)).await.expect_err("it was revoked");
    for refusal in [refusal, other] {
        let details = refusal.get_error_details();
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("CREDENTIAL_INVALID"));
    }
}

#[tokio::test]
async fn a_new_key_takes_over_from_the_old_one_beside_a_running_server() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let old = application.connect(server.address).await;
    let (with_new_key, new_id) = added(&place, &application).await;
    let new = with_new_key.connect(server.address).await;
    for backend in [&old, &new] {
        assert_eq!(call(backend).await.expect("both are in force"), application.id);
    }
    let old_id = id_of(&application);
    assert_eq!(ids(&place).await, [old_id.clone(), new_id.clone()]);

    // A challenge that was asked under the old key is answered under the new one.
    let device = old.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = old.create("anna", "attempt-1").await.expect("it is created");
    let printed = place.run_configured(&["app", "key", "revoke", "Shop", &old_id]).await.succeeded();
    let said = format!("Revoked {old_id}: no server takes it any more.\n1 key is left in force.\n");
    assert_eq!(printed, said);
    is_refused(&old).await;
    device.approve(&challenge.challenge_id, &match_code).await.expect("devices have keys of their own");
    new.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let printed = place.run_configured(&["app", "key", "list", "Shop"]).await.succeeded();
    assert_eq!(printed, format!("{new_id}\n"));
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_key_is_out_of_force_on_each_of_two_servers_when_the_command_returns() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis: _redis, place, servers, application, backends } = Two::start().await;
    let (with_new_key, new_id) = added(&place, &application).await;
    for backend in &backends {
        call(backend).await.expect("it is in force");
    }
    let old_id = id_of(&application);
    let revoke = ["app", "key", "revoke", "Shop", old_id.as_str(), "--json"];
    let printed = place.run_configured(&revoke).await.succeeded();
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["application_id"], application.id);
    assert_eq!((printed["revoked"].as_str(), printed["remaining"].as_u64()), (Some(&*old_id), Some(1)));
    for (server, backend) in servers.iter().zip(&backends) {
        is_refused(backend).await;
        call(&with_new_key.connect(server.address).await).await.expect("the new one is in force");
    }
    assert_eq!(ids(&place).await, [new_id]);
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test]
async fn the_whole_key_may_be_given_and_the_last_one_may_go() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let other = Application::create(&place, "Bank").await;
    let backend = application.connect(server.address).await;
    call(&backend).await.expect("it is in force");
    let printed =
        place.run_configured(&["app", "key", "revoke", "Shop", &application.api_key]).await.succeeded();
    let id = id_of(&application);
    let said =
        "no server takes it any more.\nIt was the last: `countersign app key add \"Shop\"` makes another.\n";
    assert_eq!(printed, format!("Revoked {id}: {said}"));
    is_refused(&backend).await;
    assert_eq!(
        place.run_configured(&["app", "key", "list", "Shop"]).await.succeeded(),
        "Shop has no API key: `countersign app key add \"Shop\"` makes one.\n"
    );
    call(&other.connect(server.address).await).await.expect("the other application's is in force");
    let (application, _) = added(&place, &application).await;
    call(&application.connect(server.address).await).await.expect("it is in force");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_revoked() {
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let other = Application::create(&place, "Bank").await;
    let id = id_of(&application);
    let unknown = "Bank has no API key of this id; `countersign app key list \"Bank\"` shows those it has";
    for key in [id.as_str(), &application.api_key, "nothing"] {
        assert_eq!(place.run_configured(&["app", "key", "revoke", "Bank", key]).await.failed(), unknown);
    }
    let nobody = "there is no application of this name; `countersign app list` shows them";
    for command in [&["add", "Shoe"][..], &["list", "Shoe"], &["revoke", "Shoe", &id]] {
        assert_eq!(place.run_configured(&[&["app", "key"], command].concat()).await.failed(), nobody);
    }
    let server = place.serve().await;
    for application in [application, other] {
        call(&application.connect(server.address).await).await.expect("it is in force");
    }
    server.stop().await;
}
